import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";

async function run(way: string, onStdout: (pid: number, text: string) => void = () => {}) {
  const program = join(import.meta.dirname, "run-program.test-process.ts");
  const child = spawn(process.execPath, [program, way], { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    onStdout(child.pid ?? 0, stdout);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  return { code: await promise, stdout, stderr };
}

test.each([
  ["well", 0, ""],
  ["badly", 3, ""],
  ["told", 1, ""],
  ["failure", 1, "script: there is no host\n"],
  ["wrong use", 2, "script: --runs: must be a number\n"],
  ["unknown option", 2, "script: Unknown option '--nope'\n"],
  [
    "refused by the system",
    1,
    "script: ENOENT: no such file or directory, open '/nowhere/at/all'\n",
  ],
  ["no such program", 1, "script: the program n0-no-such-program does not exist\n"],
])("a script that ends: %s", async (way, code, stderr) => {
  expect(await run(way)).toEqual({ code, stdout: "", stderr });
});

test("a bug of ours keeps its stack", async () => {
  const { code, stderr } = await run("bug");
  expect(code).toBe(1);
  expect(stderr).toMatch(/SyntaxError.*\n +at /);
});

test("told to end, it tells its child, waits for it, and ends as one that was told", async () => {
  let isTold = false;
  const outcome = await run("a child that waits", (pid, text) => {
    if (isTold || !text.includes("waiting")) return;
    isTold = true;
    process.kill(pid, "SIGTERM");
  });
  expect(outcome).toEqual({
    code: 143,
    stdout: "waiting\ntold\n",
    stderr: "script: ended by SIGTERM\n",
  });
});
