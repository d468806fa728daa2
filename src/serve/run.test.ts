import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { lockFolder } from "./folder-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-run-"));
const pidFile = join(folder, "pid");
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(stopMs: number, hangs = "") {
  const script = join(import.meta.dirname, "run.test-process.ts");
  rmSync(join(folder, "pipe"), { force: true });
  const child = spawn(process.execPath, [script, folder, pidFile, String(stopMs), hangs]);
  children.push(child);
  let log = "";
  child.stderr.on("data", (data) => {
    log += String(data);
  });
  // Not at its exit: then its last lines may still be in the pipe.
  const ended = new Promise<number | string | null>((resolve) =>
    child.on("close", (code, signal) => resolve(code ?? signal)),
  );
  const lines = () =>
    log
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { child, ended, lines, messages: () => lines().map(({ message }) => message) };
}

/** Of a process in which something hangs. */
const STOP_TIMEOUT_MS = 100;

describe("a process", () => {
  test("is ready with a pid file, stops at the first signal, and leaves none", async () => {
    const { child, ended, messages } = start(0);
    await expect.poll(() => existsSync(pidFile)).toBe(true);
    expect(readFileSync(pidFile, "utf8")).toBe(`${child.pid}\n`);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(messages()).toEqual(["ready", "stopping", "stopped"]);
    expect(existsSync(pidFile)).toBe(false);
  });

  test("ends at once at the second signal", async () => {
    const { child, ended, messages } = start(600_000);
    await expect.poll(messages).toContain("ready");
    child.kill("SIGINT");
    await expect.poll(messages).toContain("stopping");
    child.kill("SIGINT");
    expect(await ended).toBe("SIGINT");
  });

  test.each([
    ["thread", 0],
    ["thread", 600_000],
    ["start", 0],
    ["stop", 600_000],
  ])(
    "ends within its stop timeout although a %s hangs, and says so (stop %d ms)",
    async (hangs, stopMs) => {
      const { child, ended, lines, messages } = start(stopMs, hangs);
      await expect.poll(messages).toContain(hangs === "start" ? "starting" : "ready");
      const askedAtMs = performance.now();
      child.kill("SIGTERM");
      expect(await ended).toBe("SIGTERM");
      expect(performance.now() - askedAtMs).toBeLessThan(STOP_TIMEOUT_MS + 15_000);
      expect(lines().at(-1)).toMatchObject({
        level: "error",
        message: expect.stringContaining("ended at the stop timeout"),
        stillRuns: [hangs === "start" ? "the start" : "volume/a"],
      });
      expect(existsSync(pidFile)).toBe(false);
    },
  );

  test("has its base directory alone, until it is killed", async () => {
    const { child, ended, messages } = start(0);
    await expect.poll(messages).toContain("ready");
    expect(() => lockFolder(folder, "agent")).toThrow(
      `another n0core agent (process ${child.pid}) uses ${folder}`,
    );
    using _other = lockFolder(folder, "api");
    child.kill("SIGKILL");
    await ended;
    using again = lockFolder(folder, "agent");
    expect(again).toBeDefined();
  });
});

test("a base directory that cannot be made is said so", () => {
  expect(() => lockFolder("/dev/null/nowhere", "api")).toThrow(
    "base directory /dev/null/nowhere cannot be written to",
  );
});
