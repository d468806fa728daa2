import { spawn } from "node:child_process";
import { once } from "node:events";
import { homedir } from "node:os";
import { systemClock } from "../src/util/clock.ts";
import { systemRandom } from "../src/util/random.ts";
import type { Io, Output } from "./io.ts";
import { run } from "./program.ts";

export { run };

/** The process this runs in, as commands see it. */
function processIo(): Io {
  return {
    stdin: {
      isTerminal: process.stdin.isTTY === true,
      chunks: () => process.stdin,
      makeRaw() {
        if (process.stdin.isTTY !== true) return () => {};
        process.stdin.setRawMode(true);
        return () => process.stdin.setRawMode(false);
      },
    },
    stdout: outputTo(process.stdout),
    stderr: outputTo(process.stderr),
    env: process.env,
    homeFolder: homedir(),
    self: [process.execPath, ...process.execArgv, process.argv[1] ?? ""],
    clock: systemClock,
    random: systemRandom,
    openTransport: async (c) => (await import("./transport.ts")).openGrpcTransport(c),
    onInterrupt(handler) {
      process.on("SIGINT", handler).on("SIGTERM", handler);
      return () => void process.off("SIGINT", handler).off("SIGTERM", handler);
    },
    exec,
  };
}

function outputTo(stream: NodeJS.WriteStream): Output {
  return {
    isTerminal: stream.isTTY === true,
    columns: stream.columns ?? 80,
    print: (text) => void stream.write(text),
    async send(data) {
      if (!stream.write(data)) await once(stream, "drain");
    },
  };
}

/** The child shares this terminal, so Ctrl-C reaches it by itself; other ends are passed on. We stay until it has ended, to tidy up. */
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

/** A reader that has enough, such as head, closes the pipe; that is no failure of ours. */
function endWithReader(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}

if (import.meta.main) {
  endWithReader(process.stdout);
  endWithReader(process.stderr);
  process.exitCode = await run(process.argv.slice(2), processIo());
  // What a command was reading, such as a terminal, would keep the process alive.
  process.stdin.destroy();
}
