import type { Transport } from "@connectrpc/connect";
import type { Clock } from "../../src/util/clock.ts";
import { systemRandom } from "../../src/util/random.ts";
import type { Io } from "../io.ts";

export interface TestIo {
  readonly io: Io;
  stdout(): string;
  stderr(): string;
  /** Presses Ctrl-C. */
  interrupt(): void;
  /** The programs that were run. */
  readonly executed: string[][];
  /** The duration of each sleep. */
  readonly sleptMs: number[];
}

export interface TestIoOptions {
  readonly transport?: Transport;
  readonly isTerminal?: boolean;
  readonly stdin?: Iterable<string> | AsyncIterable<string>;
  readonly env?: Record<string, string>;
  readonly homeFolder?: string;
  readonly ownTokenFile?: string;
  /** Stands for a program that runs. An error from it stands for a missing program. */
  readonly onExec?: (args: readonly string[]) => Promise<void>;
}

/** Everything outside n0cli, in memory. Sleeping takes no time. */
export function newTestIo(options: TestIoOptions = {}): TestIo {
  const { isTerminal = false, stdin = [], env = {}, homeFolder = "/nonexistent" } = options;
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const executed: string[][] = [];
  const sleptMs: number[] = [];
  const handlers = new Set<() => void>();
  const encoder = new TextEncoder();
  const text = (chunks: Uint8Array[]) => Buffer.concat(chunks).toString();
  const output = (chunks: Uint8Array[]) => ({
    isTerminal,
    columns: 100,
    print: (words: string) => void chunks.push(encoder.encode(words)),
    send: async (data: Uint8Array) => void chunks.push(data),
  });
  const io: Io = {
    stdin: {
      isTerminal,
      async *chunks() {
        for await (const words of stdin) yield encoder.encode(words);
      },
      makeRaw: () => () => {},
    },
    stdout: output(out),
    stderr: output(err),
    env,
    homeFolder,
    ownTokenFile: options.ownTokenFile ?? "/nonexistent/token",
    self: ["/usr/bin/node", "/opt/n0 stack/cli/main.ts"],
    clock: newTestClock(sleptMs),
    random: { ...systemRandom, fraction: () => 0.5 },
    async openTransport() {
      if (options.transport === undefined) throw new Error("this test has no server");
      return { transport: options.transport, close() {} };
    },
    onInterrupt(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    async exec(command, args) {
      executed.push([command, ...args]);
      await options.onExec?.(args);
      return 0;
    },
  };
  return {
    io,
    stdout: () => text(out),
    stderr: () => text(err),
    interrupt() {
      for (const handler of [...handlers]) handler();
    },
    executed,
    sleptMs,
  };
}

function newTestClock(sleptMs: number[]): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      nowMs += ms;
      sleptMs.push(ms);
      await new Promise(setImmediate);
      signal?.throwIfAborted();
    },
  };
}
