import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { readAll } from "../input.ts";

const ENTER = ["\r", "\n"];
const BACKSPACE = ["\u007f", "\b"];
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const CTRL_U = "\u0015";

/** Asks for passwords, one after the other. */
export interface PasswordSource {
  ask(prompt: string): Promise<string>;
}

/**
 * From the lines of standard input, or from the person at the terminal, who does not see what he types. A
 * password never comes from an argument, because other users of the computer see those.
 *
 * @throws CliError if there is no terminal.
 */
export async function passwordSource(
  cli: CliContext,
  isFromStdin: boolean,
): Promise<PasswordSource> {
  const { stdin } = cli.io;
  if (!isFromStdin) {
    if (stdin.isTerminal) return fromTerminal(cli);
    throw new CliError(
      "standard input is not a terminal: send the password there, with --password-stdin",
    );
  }
  const lines = (await readAll(stdin)).split(/\r?\n/);
  return {
    async ask(prompt) {
      const line = lines.shift();
      if (line === undefined || line === "") {
        throw new CliError(`standard input has no line for: ${prompt}`);
      }
      return line;
    },
  };
}

/** Asks twice, so that nobody sets a password with a mistake that he does not see. */
export async function askNewPassword(source: PasswordSource, isTerminal: boolean): Promise<string> {
  const password = await source.ask("New password");
  if (isTerminal && (await source.ask("The same again")) !== password) {
    throw new CliError("the two passwords differ");
  }
  return password;
}

function fromTerminal(cli: CliContext): PasswordSource {
  const characters = charactersOf(cli.io.stdin.chunks());
  return {
    async ask(prompt) {
      cli.io.stderr.print(`${prompt}: `);
      const restore = cli.io.stdin.makeRaw();
      try {
        return await readLine(characters);
      } finally {
        restore();
        cli.io.stderr.print("\n");
      }
    },
  };
}

async function readLine(characters: AsyncIterator<string>): Promise<string> {
  let typed: string[] = [];
  for (;;) {
    const step = await characters.next();
    const character: string = step.done === true ? CTRL_D : step.value;
    if (character === CTRL_C || (character === CTRL_D && typed.length === 0)) {
      throw new CliError("no password was given", EXIT.interrupted);
    }
    if (ENTER.includes(character) || character === CTRL_D) return typed.join("");
    if (BACKSPACE.includes(character)) typed.pop();
    else if (character === CTRL_U) typed = [];
    else typed.push(character);
  }
}

async function* charactersOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  for await (const chunk of chunks) yield* decoder.decode(chunk, { stream: true });
}
