import { open } from "node:fs/promises";
import { expect, test } from "vitest";
import { OutputTooLongError, runBoundCommand } from "./run-bound-command.ts";
import { CommandError } from "./run-command.ts";

const never = new AbortController().signal;

test("answers what the command printed, or hands it over as it comes", async () => {
  const options = { timeoutMs: 5000, signal: never };
  const printed = await runBoundCommand("echo", ["a b", "$HOME"], options);
  expect(printed).toBe("a b $HOME\n");
  const parts: string[] = [];
  const onStdout = (text: string) => parts.push(text);
  expect(await runBoundCommand("echo", ["a b"], { ...options, onStdout })).toBe("");
  expect(parts.join("")).toBe("a b\n");
});

test("what printed too much is ended, and the part that came is no answer", async () => {
  const options = { timeoutMs: 20_000, signal: never };
  await expect(runBoundCommand("yes", [], options)).rejects.toBeInstanceOf(OutputTooLongError);
  let length = 0;
  const onStdout = (text: string) => {
    length += text.length;
  };
  const args = ["-c", "5000000", "/dev/zero"];
  await runBoundCommand("head", args, { ...options, onStdout });
  expect(length).toBe(5_000_000);
});

test("the command has the files it is given, and cannot become more than it is", async () => {
  await using file = await open(import.meta.filename);
  const script = "grep NoNewPrivs /proc/self/status; head -n 1 /proc/self/fd/3";
  const options = { timeoutMs: 5000, signal: never, files: [file.fd] };
  const printed = await runBoundCommand("sh", ["-c", script], options);
  expect(printed).toBe('NoNewPrivs:\t1\nimport { open } from "node:fs/promises";\n');
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
  await expect(failed).rejects.toMatchObject({
    killed: true,
    exitCode: undefined,
    signalName: "SIGKILL",
  });
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
