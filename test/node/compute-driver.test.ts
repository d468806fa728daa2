import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { computeDriverSuite } from "../../src/driver/compute/compute-driver.suite.ts";
import type { ComputeDriver } from "../../src/driver/compute/compute-driver.ts";
import type { DomainEvent } from "../../src/driver/compute/domain.ts";
import { openLibvirtComputeDriver } from "../../src/driver/compute/libvirt/libvirt-compute-driver.ts";
import { newSpec } from "../../src/driver/compute/suite/world.suite.ts";
import { echoBootDisk } from "./boot-sectors.ts";
import { newComputeWorld, newRunNames, openProxy, type Proxy, run } from "./compute-world.ts";
import { requirement } from "./requirements.ts";

const POLL = { timeout: 15_000, interval: 50 };
/** Usually 30; libvirt waits for 30,000 where a job of its own hangs. */
const AT_ONCE_MS = 3_000;
const LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock";
const mark = { owner: "virtual_machine/a", transactionId: "tx" };
const signal = new AbortController().signal;

const isComplete = requirement("root") && requirement("libvirt") && requirement("qemu-img");

describe.runIf(isComplete)("libvirt behind a door that can be closed", () => {
  const names = newRunNames();
  const socket = `${names.baseDirectory}-door.sock`;
  let proxy: Proxy;
  let driver: ComputeDriver;

  beforeAll(async () => {
    proxy = await openProxy(socket, LIBVIRT_SOCKET);
    const uri = `qemu+unix:///system?socket=${socket}`;
    driver = await openLibvirtComputeDriver({ ...names, accelerator: "tcg", uri });
  });

  afterAll(async () => {
    await driver[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await rm(names.baseDirectory, { recursive: true, force: true });
  });

  computeDriverSuite("libvirt", async () => newComputeWorld(driver, names));

  test("another instance's domain of the same name on libvirt is not ours", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    const uuid = randomUUID();
    const theirs = { owner: "virtual_machine/x", transactionId: "t", prefix: `${names.prefix}vm-` };
    await world.addForeign(name, uuid, theirs);
    await expect(driver.ensureResumed(name, signal)).rejects.toMatchObject({
      kind: "failed_precondition",
    });
    await driver.ensureAbsent(name, mark, signal);
    expect((await driver.list(signal)).filter((domain) => domain.name === name)).toEqual([]);
    expect(await world.isForeignIntact(name, uuid)).toBe(true);
  });

  test("an undo removes a folder that tells of no maker, unless another transaction's domain is there", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    const later = { ...mark, transactionId: "tx-later" };
    const owner = join(await driver.ensureFolder(name, mark), "owner.json");
    await rm(owner);
    await driver.requireNew(name, later, signal);
    await driver.ensureAbsent(name, later, signal);
    expect(await world.hasFolder(name)).toBe(false);

    await driver.ensureStarted(newSpec(name), mark, signal);
    await rm(owner);
    await driver.ensureAbsent(name, later, signal);
    expect(await driver.state(name, signal)).toBe("paused");
    expect(await world.hasFolder(name)).toBe(true);
    await driver.ensureAbsent(name, { owner: mark.owner }, signal);
    expect(await world.hasFolder(name)).toBe(false);
  });

  test("libvirt's log of a machine goes with it, and that of a domain that is not ours stays", async () => {
    await using world = newComputeWorld(driver, names);
    const [name, foreign] = [world.newName(), world.newName()];
    const logOf = (of: string) => `/var/log/libvirt/qemu/${names.prefix}${of}.log`;
    await driver.ensureStarted(newSpec(name), mark, signal);
    expect(existsSync(logOf(name))).toBe(true);
    for (const n of [0, 1]) await writeFile(`${logOf(name)}.${n}`, "");
    await driver.ensureOff(name, signal);
    // As a removal leaves it that died before it came to the log.
    await run("virsh", "-q", "undefine", names.prefix + name);
    await driver.ensureAbsent(name, mark, signal);
    for (const end of ["", ".0", ".1"]) expect(existsSync(logOf(name) + end)).toBe(false);

    await world.addForeign(foreign, randomUUID());
    await driver.ensureFolder(foreign, mark);
    await writeFile(logOf(foreign), "");
    await driver.ensureAbsent(foreign, mark, signal);
    expect(await world.hasFolder(foreign)).toBe(false);
    expect(existsSync(logOf(foreign))).toBe(true);
  });

  test("what the guest prints is logged and shown to all, and what is typed reaches it", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    const path = `${names.baseDirectory}-echo.img`;
    await writeFile(path, echoBootDisk("n0-boots"));
    try {
      const empty = await world.newDisk();
      const boot = { path, format: "raw", device: "disk" } as const;
      await driver.ensureStarted({ ...newSpec(name), disks: [boot, empty] }, mark, signal);
      const viewers = [await driver.openSerial(name), await driver.openSerial(name)] as const;
      const shown = viewers.map(() => "");
      viewers.forEach((viewer, index) => {
        viewer.on("data", (chunk: Buffer) => {
          shown[index] += chunk.toString();
        });
      });
      const following = new AbortController();
      let logged = "";
      const reading = (async () => {
        for await (const chunk of driver.readSerialLog(name, true, following.signal)) {
          logged += Buffer.from(chunk).toString();
        }
      })();

      await driver.ensureResumed(name, signal);
      await expect.poll(() => shown, POLL).toEqual(["n0-boots", "n0-boots"]);
      viewers[1].write("x");
      await expect.poll(() => shown, POLL).toEqual(["n0-bootsx", "n0-bootsx"]);
      await driver.reboot(name, true, signal);
      await expect.poll(() => logged, POLL).toBe("n0-bootsxn0-boots");
      following.abort();
      await reading;
      const closed = Promise.all(viewers.map((viewer) => once(viewer, "close")));
      await driver.ensureAbsent(name, mark, signal);
      await closed;
    } finally {
      await rm(path);
    }
  });

  test.for(["heard", "unheard"] as const)(
    "a machine whose reboot is %s by its guest is ended at once",
    async (how) => {
      await using world = newComputeWorld(driver, names);
      const name = world.newName();
      const guest = { ...newSpec(name), disks: [await world.newGuestDisk()] };
      for (const end of [driver.ensureOff, () => driver.ensureAbsent(name, mark, signal)]) {
        await driver.ensureStarted(guest, mark, signal);
        await driver.ensureResumed(name, signal);
        if (how === "heard") await world.listen(name);
        await driver.reboot(name, false, signal);
        const startMs = performance.now();
        await end(name, signal);
        expect(performance.now() - startMs).toBeLessThan(AT_ONCE_MS);
      }
    },
  );

  test("a lost connection answers unavailable, is opened again, and what changed meanwhile is told", async () => {
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    await driver.ensureStarted(newSpec(name), mark, signal);
    const events: DomainEvent[] = [];
    await expect.poll(() => driver.state(name, signal), POLL).toBe("paused");

    await proxy.cut();
    await expect(driver.state(name, signal)).rejects.toMatchObject({ kind: "unavailable" });
    await expect(driver.ensureResumed(name, signal)).rejects.toMatchObject({ kind: "unavailable" });
    driver.onEvent((event) => {
      if (event.name === name) events.push(event);
    });
    await run("virsh", "-q", "resume", names.prefix + name);
    await proxy.restore();
    await expect.poll(() => events, POLL).toEqual([{ name, state: "running" }]);
    await driver.ensurePaused(name, signal);
    await expect.poll(() => events.at(-1), POLL).toEqual({ name, state: "paused" });
  });

  test("a second driver in the process is refused", async () => {
    const second = openLibvirtComputeDriver({ ...names, accelerator: "tcg" });
    await expect(second).rejects.toMatchObject({ kind: "failed_precondition" });
  });
});

describe.runIf(isComplete)("libvirt that does not answer", () => {
  const names = newRunNames();
  const socket = `${names.baseDirectory}-door.sock`;
  const options = {
    ...names,
    accelerator: "tcg",
    uri: `qemu+unix:///system?socket=${socket}`,
  } as const;

  afterAll(() => rm(names.baseDirectory, { recursive: true, force: true }));

  test("while it hangs calls answer unavailable in time, and it is used again when it goes on", async () => {
    await using proxy = await openProxy(socket, LIBVIRT_SOCKET);
    const timeouts = { readTimeoutMs: 4_000, changeTimeoutMs: 4_000 };
    await using driver = await openLibvirtComputeDriver({ ...options, ...timeouts });
    await using world = newComputeWorld(driver, names);
    const name = world.newName();
    await driver.ensureDefined(newSpec(name), mark, signal);

    proxy.setHung(true);
    const controller = new AbortController();
    const abandoned = driver.ensurePaused("other", controller.signal);
    controller.abort(new Error("hung up"));
    await expect(abandoned).rejects.toThrow("hung up");
    const calls = [driver.state(name, signal), driver.ensureOff(name, signal), driver.list(signal)];
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: "rejected", reason: { kind: "unavailable" } });
    }
    proxy.setHung(false);
    const state = () => driver.state(name, signal).catch(() => "unavailable");
    await expect.poll(state, POLL).toBe("shut_off");
  });

  test("without it the driver opens all the same, and answers unavailable", async () => {
    await using driver = await openLibvirtComputeDriver({ ...options, connectTimeoutMs: 300 });
    await expect(driver.list(signal)).rejects.toMatchObject({ kind: "unavailable" });
  });
});
