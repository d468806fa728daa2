import { spawn } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { systemClock } from "../src/util/clock.ts";
import { systemRandom } from "../src/util/random.ts";
import { OWN_TOKEN_FILE } from "./found-token.ts";
import { LightHeaders } from "./headers.ts";
import type { Input, Io, Output } from "./io.ts";
import { run } from "./program.ts";

export { run };

/** This process, as commands see it. A stream is opened when a command first uses it. */
export function processIo(): Io & { readonly stdin: ProcessInput } {
  return {
    stdin: new ProcessInput(),
    stdout: outputTo("stdout"),
    stderr: outputTo("stderr"),
    env: process.env,
    homeFolder: homedir(),
    ownTokenFile: OWN_TOKEN_FILE,
    self: [process.execPath, ...process.execArgv, process.argv[1] ?? ""],
    clock: systemClock,
    random: systemRandom,
    async openTransport(connection) {
      // Before any such object is made.
      globalThis.Headers = LightHeaders;
      return await (await import("./transport.ts")).openGrpcTransport(connection);
    },
    onInterrupt(handler) {
      process.on("SIGINT", handler).on("SIGTERM", handler);
      return () => void process.off("SIGINT", handler).off("SIGTERM", handler);
    },
    exec,
  };
}

class ProcessInput implements Input {
  #used: NodeJS.ReadStream | undefined;

  get isTerminal(): boolean {
    return this.#stream().isTTY === true;
  }

  chunks(): AsyncIterable<Uint8Array> {
    return this.#stream();
  }

  makeRaw(): () => void {
    const stream = this.#stream();
    if (stream.isTTY !== true) return () => {};
    stream.setRawMode(true);
    return () => stream.setRawMode(false);
  }

  /** Closes the input that a command has read: an open terminal would keep the process alive. */
  close(): void {
    this.#used?.destroy();
  }

  #stream(): NodeJS.ReadStream {
    this.#used ??= process.stdin;
    return this.#used;
  }
}

function outputTo(name: "stdout" | "stderr"): Output {
  let opened: NodeJS.WriteStream | undefined;
  const stream = () => {
    opened ??= endWithReader(process[name]);
    return opened;
  };
  return {
    get isTerminal() {
      return stream().isTTY === true;
    },
    get columns() {
      return stream().columns ?? 80;
    },
    print: (text) => void stream().write(text),
    async send(data) {
      if (!stream().write(data)) await once(stream(), "drain");
    },
  };
}

/**
 * The child shares this terminal, so it gets Ctrl-C directly. Other signals are passed on. Then we wait for its
 * end, to clean up.
 */
async function exec(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit" });
  const passOn = (signal: NodeJS.Signals) => void child.kill(signal);
  process.on("SIGTERM", passOn).on("SIGHUP", passOn);
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    return code ?? (signal === "SIGINT" ? 130 : 1);
  } finally {
    process.off("SIGTERM", passOn).off("SIGHUP", passOn);
  }
}

/** A reader that has read enough, such as head, closes the pipe. That is not a failure. */
function endWithReader(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  return stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}

/** Runs one command line in this process, whose exit code it sets. */
export async function main(argv: readonly string[]): Promise<void> {
  const io = processIo();
  process.exitCode = await run(argv, io);
  io.stdin.close();
}
