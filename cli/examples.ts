import type { Command } from "commander";

/** Puts examples first in a command's help: most people look for one to adapt. */
export function withExamples(command: Command, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ n0cli ${example}\n`).join("");
  return command.addHelpText("before", `Examples:\n${lines}`);
}
