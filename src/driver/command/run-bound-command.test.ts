import { expect, test } from "vitest";
import { runBoundCommand } from "./run-bound-command.ts";
import { CommandError } from "./run-command.ts";

const never = new AbortController().signal;

test("answers what the command printed, and hands it over as it comes", async () => {
  const parts: string[] = [];
  const onStdout = (text: string) => parts.push(text);
  const printed = await runBoundCommand("echo", ["a b", "$HOME"], {
    timeoutMs: 5000,
    signal: never,
    onStdout,
  });
  expect(printed).toBe("a b $HOME\n");
  expect(parts.join("")).toBe(printed);
});

test("fails with exit code and standard error", async () => {
  const failed = runBoundCommand("ls", ["/no/such/file"], { timeoutMs: 5000, signal: never });
  await expect(failed).rejects.toMatchObject({ exitCode: 2, killed: false });
  await expect(failed).rejects.toThrow(/No such file/);
});

test("fails for a command that is not there", async () => {
  const failed = runBoundCommand("no-such-command", [], { timeoutMs: 5000, signal: never });
  await expect(failed).rejects.toBeInstanceOf(CommandError);
});

test("kills what takes too long", async () => {
  const failed = runBoundCommand("sleep", ["60"], { timeoutMs: 50, signal: never });
  await expect(failed).rejects.toMatchObject({ killed: true, exitCode: undefined });
});

test("kills it when the signal aborts, and rejects with the reason", async () => {
  const abort = new AbortController();
  const failed = runBoundCommand("sh", ["-c", "echo started; exec sleep 60"], {
    timeoutMs: 60_000,
    signal: abort.signal,
    onStdout: () => abort.abort(new Error("changed my mind")),
  });
  await expect(failed).rejects.toThrow("changed my mind");
});

test("does not start for a signal that is aborted", async () => {
  const failed = runBoundCommand("echo", [], {
    timeoutMs: 5000,
    signal: AbortSignal.abort(new Error("no")),
  });
  await expect(failed).rejects.toThrow("no");
});
