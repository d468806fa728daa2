import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadQemuEnder } from "./qemu-process.ts";

const ender = loadQemuEnder();
const uuid = randomUUID();
let folder: string;
let pidFile: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "n0-qemu-"));
  pidFile = join(folder, "vm.pid");
});
afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  child = undefined;
  rmSync(folder, { recursive: true });
});

/** A process that looks like a QEMU as far as it is looked at; its standard output is a socket, as is `socket`, its file 3. */
async function start(script = "", socket?: Writable): Promise<ChildProcess> {
  const code = `${script}; console.log("ready"); setInterval(() => {}, 1000)`;
  const stdio = ["pipe", "pipe", "pipe", socket ?? "ignore"] as const;
  child = spawn(process.execPath, ["-e", code, "--", "-uuid", uuid.toUpperCase()], {
    stdio: [...stdio],
  });
  await once(child.stdout!, "data");
  writeFileSync(pidFile, `${child.pid}\n`);
  return child;
}

/** As proc(5) has it: `S` sleeping, `R` running, `D` waiting for a disk, `Z` ended and not yet fetched. */
function stateOf({ pid }: ChildProcess): string | undefined {
  return /^\d+ \(.*\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
}

test("the process has ended when it answers", async () => {
  const qemu = await start();
  ender.end(pidFile, uuid);
  expect(stateOf(qemu)).toBe("Z");
  expect(await once(qemu, "exit")).toEqual([null, "SIGTERM"]);
});

test("who listens at its sockets hears of its end when it has gone, and then at once", async () => {
  // Reads what QEMU is connected to, and tells in which state QEMU is when that ends.
  const code = `process.stdin.resume().on("end", () => {
    const { pid } = JSON.parse(fs.readFileSync(process.argv[1], "utf8"));
    const file = "/proc/" + pid + "/stat";
    console.log(fs.existsSync(file) ? /\\) (\\S)/.exec(fs.readFileSync(file, "utf8"))[1] : "gone");
  })`;
  const told = join(folder, "told.json");
  const listener = spawn(process.execPath, ["-e", code, told], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const script = `process.on("SIGTERM", () => { fs.closeSync(3); setTimeout(process.exit, 200); })`;
  const qemu = await start(script, listener.stdin);
  writeFileSync(told, JSON.stringify({ pid: qemu.pid }));
  listener.stdin.destroy();
  ender.end(pidFile, uuid);
  const [state] = (await once(listener.stdout, "data")) as [Buffer];
  expect(state.toString()).toMatch(/^(Z|gone)\n$/);
});

test("a process that does not listen to the signal is left after the time", async () => {
  const qemu = await start("process.on('SIGTERM', () => {})");
  const startMs = performance.now();
  ender.end(pidFile, uuid, 50);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(49);
  expect(stateOf(qemu)).toMatch(/[SRD]/);
});

test("the process of another domain, which has the number now, is not touched", async () => {
  const qemu = await start("process.on('SIGTERM', () => process.exit(1))");
  ender.end(pidFile, randomUUID());
  expect(stateOf(qemu)).toMatch(/[SRD]/);
  ender.end(pidFile, uuid);
  expect(await once(qemu, "exit")).toEqual([1, null]);
});

test.each([undefined, "", "0\n", "-1\n", "1 2\n", "4194305\n", "99999999999\n"])(
  "%j for a number is nobody's",
  (text) => {
    if (text !== undefined) writeFileSync(pidFile, text);
    ender.end(pidFile, uuid);
  },
);
