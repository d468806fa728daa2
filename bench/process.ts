import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface BenchProcess extends AsyncDisposable {
  readonly pid: number;
  send(message: object): void;
  /** The next message of that `kind`. @throws Error if the process ends before. */
  next(kind: string): Promise<object>;
  /** Sends SIGKILL. Resolves when the process has ended. */
  kill(): Promise<void>;
}

/** Starts another program of this folder, which sends messages with a `kind`. Disposing of it kills it. */
export function startProcess(file: string, ...args: readonly string[]): BenchProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    // The messages contain bigints.
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const inbox: { kind: string }[] = [];
  let wake = () => {};
  child.on("message", (message: { kind: string }) => {
    inbox.push(message);
    wake();
  });
  const exited = once(child, "exit");
  void exited.then(() => wake());
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    send: (message) => void child.send(message),
    async next(kind) {
      for (;;) {
        const at = inbox.findIndex((message) => message.kind === kind);
        if (at >= 0) return inbox.splice(at, 1)[0]!;
        if (hasEnded()) throw new Error(`${file} ended before it said "${kind}"`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async kill() {
      if (!hasEnded()) child.kill("SIGKILL");
      await exited;
    },
    async [Symbol.asyncDispose]() {
      await this.kill();
    },
  };
}
