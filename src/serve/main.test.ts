import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const launcher = join(import.meta.dirname, "../../bin/n0core");

function n0core(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(launcher, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("version", () => {
  expect(n0core("version")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^n0core \d/),
  });
});

test("help begins with examples and names the defaults", () => {
  const { status, stdout } = n0core("serve", "standalone", "--help");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Examples:\n/);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain("(default: 127.0.0.1)");
});

test("--print-config prints what would be in effect, and starts nothing", () => {
  const { status, stdout } = n0core("serve", "agent", "--print-config", "--overcommit=false");
  expect(status).toBe(0);
  expect(stdout).toContain("bind-port: 20181\n");
  expect(stdout).toContain("overcommit: false\n");
  expect(stdout).toContain("location: ////0\n");
});

test("wrong use is exit code 2, and named", () => {
  const { status, stderr } = n0core("serve", "api", "--bind-port", "x", "--log-level", "loud");
  expect(status).toBe(2);
  expect(stderr).toContain("n0core: bind-port (from --bind-port): must be a whole number");
  expect(stderr).toContain("n0core: log-level (from --log-level): must be one of");
  expect(n0core("serve", "api", "--nothing").status).toBe(2);
  expect(n0core("serve").status).toBe(2);
});

test("who stops reading is told nothing", async () => {
  const child = spawn(launcher, ["serve", "standalone", "--help"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const [code] = await once(child, "close");
  expect([code, stderr]).toEqual([0, ""]);
});

test("a log file is opened anew at SIGHUP, and the server goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "n0-main-"));
  const [logFile, pidFile] = [join(folder, "n0core.log"), join(folder, "pid")];
  const files = ["--base-directory", folder, "--log-file", logFile, "--pid-file", pidFile];
  const child = spawn(launcher, ["serve", "api", "--bind-port", "0", ...files], {
    stdio: "ignore",
  });
  const ended = once(child, "close");
  const patience = { timeout: 20_000 };
  try {
    await expect.poll(() => existsSync(pidFile), patience).toBe(true);
    // The launcher may be a parent of the server.
    const pid = Number(readFileSync(pidFile, "utf8"));
    renameSync(logFile, `${logFile}.old`);
    process.kill(pid, "SIGHUP");
    await expect.poll(() => existsSync(logFile), patience).toBe(true);
    process.kill(pid, "SIGTERM");
    expect(await ended).toEqual([0, null]);
    const messages = (path: string) =>
      readFileSync(path, "utf8")
        .trimEnd()
        .split("\n")
        .map((line): unknown => JSON.parse(line).message);
    expect(messages(`${logFile}.old`).at(-1)).toBe("ready");
    expect(messages(logFile)).toEqual(["stopping", "stopped"]);
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});
