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

function start(stopMs: number) {
  const script = join(import.meta.dirname, "run.test-process.ts");
  const child = spawn(process.execPath, [script, folder, pidFile, String(stopMs)]);
  children.push(child);
  let log = "";
  child.stderr.on("data", (data) => {
    log += String(data);
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const messages = () =>
    log
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line): unknown => JSON.parse(line).message);
  return { child, ended, messages };
}

const PATIENCE = { timeout: 10_000 };

describe("a process", () => {
  test("is ready with a pid file, stops at the first signal, and leaves none", async () => {
    const { child, ended, messages } = start(0);
    await expect.poll(() => existsSync(pidFile), PATIENCE).toBe(true);
    expect(readFileSync(pidFile, "utf8")).toBe(`${child.pid}\n`);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(messages()).toEqual(["ready", "stopping", "stopped"]);
    expect(existsSync(pidFile)).toBe(false);
  });

  test("ends at once at the second signal", async () => {
    const { child, ended, messages } = start(600_000);
    await expect.poll(messages, PATIENCE).toContain("ready");
    child.kill("SIGINT");
    await expect.poll(messages, PATIENCE).toContain("stopping");
    child.kill("SIGINT");
    expect(await ended).toBe(130);
  });

  test("has its base directory alone, until it is killed", async () => {
    const { child, ended, messages } = start(0);
    await expect.poll(messages, PATIENCE).toContain("ready");
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
