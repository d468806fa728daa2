import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { computeDriverSuite } from "../compute-driver.suite.ts";
import { collect, newSpec } from "../suite/world.suite.ts";
import { createFakeComputeDriver } from "./fake-compute-driver.ts";

const signal = new AbortController().signal;
const mark = { owner: "virtual_machine/a", transactionId: "tx" };

computeDriverSuite("the fake", async () => {
  let count = 0;
  const driver = createFakeComputeDriver({
    memoryBytesMax: 1n << 40n,
    hasDisk: (path) => !path.endsWith("-missing"),
    hasTap: (tapName) => !tapName.endsWith("-missing"),
  });
  return {
    driver,
    tooMuchMemoryBytes: 1n << 41n,
    newName: () => `vm-${count++}`,
    newDisk: async () => ({ path: `/disks/${count++}`, format: "qcow2", device: "disk" }),
    newGuestDisk: async () => ({ path: `/disks/${count++}`, format: "raw", device: "disk" }),
    listen: async (name) => driver.listen(name),
    newNic: async () => ({ tapName: `tap-${count++}`, hardwareAddress: "52:54:00:00:00:01" }),
    keepNics: async (name) => driver.keepNics(name),
    addForeign: async (name, uuid) => driver.addForeign(name, uuid),
    isForeignIntact: async (name, uuid) =>
      driver.snapshot().foreign.some((domain) => domain.name === name && domain.uuid === uuid),
    hasFolder: async (name) => driver.snapshot().folders.includes(name),
    powerOff: async (name) => driver.powerOff(name),
    crash: async (name) => driver.crash(name),
    diskSizeBytes: async (path) => driver.diskSizeBytes(path) ?? 0n,
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
});

test("an injected fault happens before or after the act, and a hang ends with the signal", async () => {
  const driver = createFakeComputeDriver();
  const spec = { ...newSpec("a"), uuid: randomUUID() };
  driver.faults.set("ensureStarted", { when: "before", what: new Error("no") });
  await expect(driver.ensureStarted(spec, mark, signal)).rejects.toThrow("no");
  expect(driver.snapshot().domains).toEqual([]);

  driver.faults.set("ensureStarted", { when: "after", what: "hang" });
  const controller = new AbortController();
  const started = driver.ensureStarted(spec, mark, controller.signal);
  controller.abort(new Error("enough"));
  await expect(started).rejects.toThrow("enough");
  expect(driver.snapshot().domains).toMatchObject([{ name: "a", state: "paused" }]);
});

test("what the guest prints is shown and logged, and what is typed reaches it", async () => {
  const driver = createFakeComputeDriver();
  await driver.ensureStarted(newSpec("a"), mark, signal);
  const serial = await driver.openSerial("a");
  let shown = "";
  serial.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
  });
  driver.print("a", "login: ");
  await expect.poll(() => shown).toBe("login: ");
  serial.write("root\n");
  await expect.poll(() => driver.typed("a")).toBe("root\n");
  const [log] = await collect(driver.readSerialLog("a", false, signal));
  expect(Buffer.from(log!).toString()).toBe("login: ");
});
