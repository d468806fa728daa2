import type { Command } from "commander";
import type { CliContext } from "./context.ts";

/** A word that a shell offers, and a short description of it. */
export type Candidate = readonly [word: string, about: string];

export type FindCandidates = (
  cli: CliContext,
  signal: AbortSignal,
) => Promise<readonly Candidate[]>;

const FINDERS = new WeakMap<Command, FindCandidates>();

/** Sets what a shell offers for the first argument of a command and of its subcommands, if they take one. */
export function completeFirstArgument(command: Command, find: FindCandidates): Command {
  if (command.registeredArguments.length > 0) FINDERS.set(command, find);
  for (const child of command.commands) completeFirstArgument(child, find);
  return command;
}

export function candidatesOf(command: Command): FindCandidates | undefined {
  return FINDERS.get(command);
}
