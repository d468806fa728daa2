import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { ComputeDriver } from "../../src/driver/compute/compute-driver.ts";
import type { DomainEvent } from "../../src/driver/compute/domain.ts";
import { openLibvirtComputeDriver } from "../../src/driver/compute/libvirt/libvirt-compute-driver.ts";
import { newSpec } from "../../src/driver/compute/suite/world.suite.ts";
import { fillingBootDisk } from "./boot-sectors.ts";
import { newComputeWorld, newRunNames, run } from "./compute-world.ts";
import { requirement } from "./requirements.ts";

const mark = { owner: "virtual_machine/a", transactionId: "tx" };
const signal = new AbortController().signal;
const isComplete = requirement("root") && requirement("libvirt") && requirement("qemu-img");
const POLL = { timeout: 30_000 };

describe.runIf(isComplete)("a guest that fills its node's disk", () => {
  const names = newRunNames();
  let driver: ComputeDriver;

  beforeAll(async () => {
    driver = await openLibvirtComputeDriver({ ...names, accelerator: "tcg" });
  });
  afterAll(async () => {
    await driver[Symbol.asyncDispose]();
    await rm(names.baseDirectory, { recursive: true, force: true });
  });

  test("is paused and says why, and goes on where it was when there is space", async () => {
    const folder = `${names.baseDirectory}-small`;
    await mkdir(folder);
    await run("mount", "-t", "tmpfs", "-o", "size=8m", "n0-test", folder);
    onTestFinished(async () => {
      await run("umount", folder);
      await rmdir(folder);
    });
    const path = `${folder}/disk.img`;
    await writeFile(path, fillingBootDisk());
    await run("truncate", "--size", "24M", path);

    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    const events: DomainEvent[] = [];
    driver.onEvent((event) => {
      if (event.name === name) events.push(event);
    });
    const spec = { ...newSpec(name), disks: [{ path, format: "raw", device: "disk" } as const] };
    await driver.ensureStarted(spec, mark, signal);
    await driver.ensureResumed(name, signal);
    await expect.poll(() => driver.state(name, signal), POLL).toBe("out_of_space");
    await expect.poll(() => events.at(-1), POLL).toEqual({ name, state: "out_of_space" });
    // One who pauses it changes nothing, and it hears no power button.
    await driver.ensurePaused(name, signal);
    expect(await driver.state(name, signal)).toBe("out_of_space");
    await expect(driver.requestShutdown(name, signal)).rejects.toMatchObject({
      kind: "failed_precondition",
    });

    await run("mount", "-o", "remount,size=64m", folder);
    await driver.ensureResumed(name, signal);
    await expect.poll(() => events.at(-1), POLL).toEqual({ name, state: "running" });
    const blocks = async () => Number(await run("stat", "--format", "%b", path));
    await expect.poll(blocks, POLL).toBeGreaterThan((16 * 2 ** 20) / 512);
    expect(await driver.state(name, signal)).toBe("running");
  });
});
