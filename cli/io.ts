import type { Transport } from "@connectrpc/connect";
import type { Clock } from "../src/util/clock.ts";
import type { Random } from "../src/util/random.ts";
import type { Connection } from "./connection.ts";

/** An output stream: a terminal, a pipe, or a buffer of a test. */
export interface Output {
  readonly isTerminal: boolean;
  readonly columns: number;
  print(text: string): void;
  /** Resolves when the reader has read enough and more can be written. */
  send(data: Uint8Array): Promise<void>;
}

export interface Input {
  readonly isTerminal: boolean;
  /** The whole input. Can be read once. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Delivers each key when it is pressed, also the interrupt. Returns a function that resets the terminal. */
  makeRaw(): () => void;
}

export interface OpenTransport {
  readonly transport: Transport;
  close(): void;
}

/** Everything outside of the client that it uses. A test passes in its own. */
export interface Io {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeFolder: string;
  /** The path where an n0core on this computer keeps its token. */
  readonly ownTokenFile: string;
  /** The command line that starts this program again. */
  readonly self: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  openTransport(connection: Connection): Promise<OpenTransport>;
  /** Calls `handler` at each interrupt (Ctrl-C) until the returned function is called. */
  onInterrupt(handler: () => void): () => void;
  /** Runs a program on this terminal; resolves to its exit code. */
  exec(command: string, args: readonly string[]): Promise<number>;
}
