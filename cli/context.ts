import type { Transport } from "@connectrpc/connect";
import { quote } from "../src/util/quote.ts";
import type { Connection } from "./connection.ts";
import { CliError } from "./errors.ts";
import { withFoundToken } from "./found-token.ts";
import type { Io, OpenTransport, Output } from "./io.ts";
import type { Kind } from "./resource/kind.ts";
import type { GlobalFlags, OutputFormat } from "./settings.ts";
import { isTokenExposed, resolveConnection } from "./settings.ts";
import { withSignIn } from "./sign-in/stored.ts";
import { printableLines } from "./terminal-text.ts";

/** What every command gets: the global flags, the connection to the API, and the streams to print to. */
export interface CliContext {
  readonly io: Io;
  /** All kinds of resources. */
  readonly kinds: readonly Kind[];
  flags(): GlobalFlags;
  /** The requested format; by default a table on a terminal and JSON in a pipe. */
  format(): OutputFormat;
  connection(): Promise<Connection>;
  /** Opens the connection at first use, so that `--help` needs no server. */
  transport(): Promise<Transport>;
  /** Prints a line to stderr. */
  say(line: string): void;
  /** Aborts at the first interrupt, unless a command handles interrupts itself. */
  readonly signal: AbortSignal;
  /** True once the API has answered something. */
  isApiKnown: boolean;
  /** The line that the user gets when an interrupt ends the current call. */
  interruptNotice: string;
  /** Calls `handler` for each interrupt, until the returned function is called. */
  takeInterrupts(handler: () => void): () => void;
  /** The exit code if no error is thrown. */
  exitCode: number;
  close(): void;
}

/** On a terminal, removes control characters that a server or a guest sent. A pipe gets the text unchanged. */
function harmless(output: Output): Output {
  return {
    get isTerminal() {
      return output.isTerminal;
    },
    get columns() {
      return output.columns;
    },
    print: (text) => output.print(output.isTerminal ? printableLines(text) : text),
    send: (data) => output.send(data),
  };
}

/** `flags` is read when a command runs, after the command line is parsed. */
export function newContext(
  outside: Io,
  kinds: readonly Kind[],
  flags: () => GlobalFlags,
): CliContext {
  const io = { ...outside, stdout: harmless(outside.stdout) };
  const interrupt = new AbortController();
  const handlers: (() => void)[] = [() => interrupt.abort()];
  const release = io.onInterrupt(() => handlers.at(-1)?.());
  let connection: Promise<Connection> | undefined;
  let opened: Promise<OpenTransport> | undefined;
  let close = () => {};

  const cli: CliContext = {
    io,
    kinds,
    flags,
    format: () => flags().output ?? (io.stdout.isTerminal ? "table" : "json"),
    connection() {
      connection ??= readNamed(io, flags())
        .then((named) => resolveConnection(flags(), io.env, named))
        .then((configured) => withSignIn(io, configured))
        .then((configured) => withFoundToken(io, configured));
      return connection;
    },
    async transport() {
      opened ??= cli.connection().then((c) => {
        if (isTokenExposed(c)) throw exposed(c);
        return io.openTransport(c);
      });
      const open = await opened;
      close = open.close;
      return open.transport;
    },
    say: (line) => harmless(io.stderr).print(`${line}\n`),
    signal: interrupt.signal,
    isApiKnown: false,
    interruptNotice: "Interrupted.",
    takeInterrupts(handler) {
      handlers.push(handler);
      return () => {
        const i = handlers.lastIndexOf(handler);
        if (i > 0) handlers.splice(i, 1);
      };
    },
    exitCode: 0,
    close() {
      release();
      close();
    },
  };
  return cli;
}

function exposed({ baseUrl, tokenFile, signIn }: Connection): CliError {
  return new CliError(
    `n0cli does not send the token in ${tokenFile ?? signIn} to ${baseUrl}, because the connection is not encrypted: ` +
      "use an https:// endpoint, or a tunnel such as ssh -L 20180:127.0.0.1:20180 HOST",
  );
}

async function readNamed(io: Io, flags: GlobalFlags) {
  const { readConfig, findContext } = await import("./config-file.ts");
  const name = flags.context ?? io.env["N0CLI_CONTEXT"];
  const config = await readConfig(io);
  const wanted = name === undefined || name === "" ? config.current : name;
  if (wanted === undefined) return {};
  const found = findContext(config, wanted);
  if (found === undefined) {
    throw new CliError(`context ${quote(wanted)} does not exist: see n0cli context list`);
  }
  return found;
}
