import type { Command, Option } from "commander";
import { type Candidate, candidatesOf } from "./candidates.ts";
import type { CliContext } from "./context.ts";
import { newContext } from "./context.ts";
import type { Io } from "./io.ts";
import { RESOURCES } from "./resource/all.ts";
import { newProgram, operandsOf } from "./root-command.ts";
import type { GlobalFlags } from "./settings.ts";
import { addCommands } from "./top-commands.ts";

/** The shell waits for the answer, so a slow API gets no more time than this. */
const NAMES_TIMEOUT_MS = 1000;

/** Prints the words that can complete the last of `words`: one a line, then a tab and a description. */
export async function complete(words: readonly string[], io: Io): Promise<number> {
  const begun = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const program = newProgram(io);
  const cli = newContext(io, RESOURCES, () => program.opts<GlobalFlags>());
  try {
    // The parser would refuse a last flag that has no value yet.
    const whole = before.at(-1)?.startsWith("-") === true ? before.slice(0, -1) : before;
    const operands = operandsOf(whole, io);
    await addCommands(program, cli, operands);
    readGlobalFlags(program, whole);
    const { command, rest } = walk(program, operands);
    const candidates = await candidatesFor(cli, program, command, rest, before.at(-1) ?? "", begun);
    for (const [word, about] of candidates) {
      if (word.startsWith(begun))
        io.stdout.print(about === "" ? `${word}\n` : `${word}\t${about}\n`);
    }
  } catch {
    // Completion prints nothing when a flag is wrong or the server fails.
  } finally {
    cli.close();
  }
  return 0;
}

function readGlobalFlags(program: Command, before: readonly string[]): void {
  const silent = { writeOut: () => {}, writeErr: () => {} };
  program.configureOutput(silent).parseOptions([...before]);
}

/** Down to the command that the words name, and the words after it. */
function walk(program: Command, operands: readonly string[]) {
  let command = program;
  let depth = 0;
  for (const word of operands) {
    const next = command.commands.find((c) => c.name() === word || c.aliases().includes(word));
    if (next === undefined) break;
    command = next;
    depth += 1;
  }
  return { command, rest: operands.slice(depth) };
}

async function candidatesFor(
  cli: CliContext,
  program: Command,
  command: Command,
  rest: readonly string[],
  previous: string,
  begun: string,
): Promise<readonly Candidate[]> {
  const options = [...command.options, ...program.options].filter((o) => !o.hidden);
  const waiting = options.find((o) => o.required && (o.long === previous || o.short === previous));
  if (waiting !== undefined) return (waiting.argChoices ?? []).map((choice) => [choice, ""]);
  if (begun.startsWith("-")) return options.map((o): Candidate => [flagOf(o), o.description]);
  if (command.commands.length > 0) {
    return command.commands.map((c): Candidate => [c.name(), firstLine(c.description())]);
  }
  const argument = command.registeredArguments[rest.length];
  if (argument?.argChoices !== undefined) return argument.argChoices.map((c) => [c, ""]);
  if (rest.length > 0) return [];
  const signal = AbortSignal.any([AbortSignal.timeout(NAMES_TIMEOUT_MS), cli.signal]);
  return (await candidatesOf(command)?.(cli, signal)) ?? [];
}

function flagOf(option: Option): string {
  return option.long ?? option.short ?? "";
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
