import type { Transport } from "@connectrpc/connect";
import type { Clock } from "../src/util/clock.ts";
import type { Random } from "../src/util/random.ts";
import type { Connection } from "./connection.ts";

/** A stream that goes out: a terminal, a pipe, or a buffer of a test. */
export interface Output {
  readonly isTerminal: boolean;
  readonly columns: number;
  print(text: string): void;
  /** Resolves when the reader has taken enough for more to follow. */
  send(data: Uint8Array): Promise<void>;
}

export interface Input {
  readonly isTerminal: boolean;
  /** What comes in, until its end. Read once. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Hands over each key as it is pressed, the interrupt too. Returns how to set the terminal back. */
  makeRaw(): () => void;
}

export interface OpenTransport {
  readonly transport: Transport;
  close(): void;
}

/** All that the client touches outside itself, handed in so that a test can drive it whole. */
export interface Io {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeFolder: string;
  /** Where an n0core of this machine keeps its token. */
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
