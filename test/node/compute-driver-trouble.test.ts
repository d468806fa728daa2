import { readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ComputeDriver } from "../../src/driver/compute/compute-driver.ts";
import type { DomainSpec } from "../../src/driver/compute/domain.ts";
import { openLibvirtComputeDriver } from "../../src/driver/compute/libvirt/libvirt-compute-driver.ts";
import { newSpec } from "../../src/driver/compute/suite/world.suite.ts";
import { newComputeWorld, newRunNames } from "./compute-world.ts";
import { requirement } from "./requirements.ts";

const mark = { owner: "virtual_machine/a", transactionId: "tx" };
const signal = new AbortController().signal;
const isComplete = requirement("root") && requirement("libvirt") && requirement("qemu-img");

describe.runIf(isComplete)("a machine that cannot be started", () => {
  const names = newRunNames();
  let driver: ComputeDriver;

  beforeAll(async () => {
    driver = await openLibvirtComputeDriver({ ...names, accelerator: "tcg" });
  });
  afterAll(async () => {
    await driver[Symbol.asyncDispose]();
    await rm(names.baseDirectory, { recursive: true, force: true });
  });

  /** Starts it, in vain, and has all of it removed. */
  async function expectRefused(spec: DomainSpec, kind: string, words: RegExp): Promise<void> {
    const started = driver.ensureStarted(spec, mark, signal);
    await expect(started).rejects.toMatchObject({
      kind,
      message: expect.stringMatching(words),
      facts: { resource: `virtual_machine/${spec.name}` },
    });
    await driver.ensureAbsent(spec.name, mark, signal);
    expect(await driver.state(spec.name, signal)).toBe("absent");
  }

  test.for(["SIGKILL", "SIGTERM", "SIGSEGV"] as const)(
    "one whose QEMU is ended by %s is to be tried again, and then starts",
    async (how) => {
      await using world = newComputeWorld(driver, names);
      const spec = newSpec(world.newName());
      const killed = killWhenItStarts(spec.uuid, how);
      await expectRefused(spec, "unavailable", /its QEMU ended unexpectedly, try again/);
      await killed;
      await driver.ensureStarted(spec, mark, signal);
      expect(await driver.state(spec.name, signal)).toBe("paused");
    },
  );

  test("one of which a disk is damaged, is in use, or is no file says so, in QEMU's words", async () => {
    await using world = newComputeWorld(driver, names);
    const [holder, spec] = [newSpec(world.newName()), newSpec(world.newName())];
    const [damaged, used] = [await world.newDisk(), await world.newDisk()];
    await writeFile(damaged.path, Buffer.alloc(1024 * 1024));
    await expectRefused(
      { ...spec, disks: [damaged] },
      "failed_precondition",
      /damaged: .*\(QEMU: Image is not in qcow2 format\)$/,
    );
    await driver.ensureStarted({ ...holder, disks: [used] }, mark, signal);
    await expectRefused(
      { ...spec, disks: [used] },
      "failed_precondition",
      /in use by another process: .*\(QEMU: Failed to get "write" lock/,
    );
    const folder = { ...used, path: names.baseDirectory };
    await expectRefused(
      { ...spec, disks: [folder] },
      "failed_precondition",
      /cannot be opened .*\(QEMU: .* to be a regular file\)$/,
    );
  });

  test("one of which a tap is in use or is none says so", async () => {
    await using world = newComputeWorld(driver, names);
    const [holder, spec] = [newSpec(world.newName()), newSpec(world.newName())];
    const nic = await world.newNic();
    await driver.ensureStarted({ ...holder, nics: [nic] }, mark, signal);
    await expectRefused(
      { ...spec, nics: [nic] },
      "failed_precondition",
      /taps is in use .*\(libvirt: .*Device or resource busy\)$/,
    );
    const loopback = { ...nic, tapName: "lo" };
    await expectRefused({ ...spec, nics: [loopback] }, "failed_precondition", /is not a tap/);
  });

  test("one that its machine type cannot hold is refused in libvirt's words", async () => {
    await using world = newComputeWorld(driver, names);
    const spec = { ...newSpec(world.newName()), vcpus: 300 };
    await expectRefused(
      spec,
      "failed_precondition",
      /\(libvirt: .*Maximum CPUs .* machine type limit/,
    );
  });

  test("one that QEMU left before it ran says what QEMU said last", async () => {
    await using world = newComputeWorld(driver, names);
    const spec = newSpec(world.newName());
    await driver.ensureStarted(spec, mark, signal);
    await world.crash(spec.name);
    const state = () => driver.state(spec.name, signal);
    await expect.poll(state, { timeout: 15_000 }).toBe("crashed");
    await expect(driver.ensureResumed(spec.name, signal)).rejects.toMatchObject({
      kind: "failed_precondition",
      message: expect.stringMatching(/is off because its QEMU ended unexpectedly: boot it first$/),
    });
    const log = `/var/log/libvirt/qemu/${names.prefix}${spec.name}.log`;
    const said = "2026-01-01T00:00:00.000000Z qemu-system-x86_64: ../a.c:1: Assertion `b' failed.";
    await writeFile(log, `${readFileSync(log, "utf8")}${said}\n`);
    await expect(driver.ensureResumed(spec.name, signal)).rejects.toThrow(
      "(QEMU: ../a.c:1: Assertion `b' failed.): boot it first",
    );
  });
});

/** Resolves when the QEMU process of the domain with that uuid was sent the signal. */
async function killWhenItStarts(uuid: string, how: NodeJS.Signals): Promise<void> {
  for (;;) {
    const pid = readdirSync("/proc").find((entry) => /^\d+$/.test(entry) && isQemu(entry, uuid));
    if (pid !== undefined) {
      process.kill(Number(pid), how);
      return;
    }
    await nextTurn();
  }
}

function isQemu(pid: string, uuid: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words[words.indexOf("-uuid") + 1] === uuid;
  } catch {
    // It ended meanwhile.
    return false;
  }
}
