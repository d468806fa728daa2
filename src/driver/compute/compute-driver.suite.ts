import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownerOnNode } from "../../util/ref.ts";
import type {
  ComputeDriver,
  DiskSpec,
  DomainEvent,
  DomainSpec,
  NicSpec,
} from "./compute-driver.ts";

/** A node with a driver, and what only the world outside of the driver can do. */
export interface ComputeDriverWorld extends AsyncDisposable {
  readonly driver: ComputeDriver;
  /** A machine's name that nobody else uses. */
  newName(): string;
  newDisk(): Promise<DiskSpec>;
  /** A disk from which a guest boots that hears the power button, and powers off, from when it is told to `listen`. */
  newGuestDisk(): Promise<DiskSpec>;
  /** Has that guest listen, until it boots again. */
  listen(name: string): Promise<void>;
  newNic(): Promise<NicSpec>;
  /** More than the node has. */
  readonly tooMuchMemoryBytes: bigint;
  /** A domain of somebody else's under the name that `name` has on the hypervisor. */
  addForeign(name: string, uuid: string): Promise<void>;
  /** True if that domain is there, as it was made. */
  isForeignIntact(name: string, uuid: string): Promise<boolean>;
  hasFolder(name: string): Promise<boolean>;
  /** QEMU ends as after the guest's own power-off. */
  powerOff(name: string): Promise<void>;
  /** QEMU dies. */
  crash(name: string): Promise<void>;
  diskSizeBytes(path: string): Promise<bigint>;
}

const MIB = 1024n * 1024n;
const signal = new AbortController().signal;
const mark = { owner: "virtual_machine/suite", transactionId: "tx-'1'<&>" };
/** The same owner's, of a later transaction. */
const later = { ...mark, transactionId: "tx-later" };
const POLL = { timeout: 10_000, interval: 20 };

/** Registers the tests that every ComputeDriver passes. */
export function computeDriverSuite(
  title: string,
  newWorld: () => Promise<ComputeDriverWorld>,
): void {
  describe(`${title} as a ComputeDriver`, () => {
    let world: ComputeDriverWorld;
    let driver: ComputeDriver;
    let events: DomainEvent[];
    let spec: DomainSpec;
    let stopListening: () => void;

    beforeEach(async () => {
      world = await newWorld();
      ({ driver } = world);
      events = [];
      stopListening = driver.onEvent((event) => events.push(event));
      spec = newSpec(world.newName());
    });

    afterEach(async () => {
      stopListening();
      await world[Symbol.asyncDispose]();
    });

    const stateOf = (name: string) => driver.state(name, signal);
    const expectEvents = (...states: string[]) =>
      expect
        .poll(() => events.filter(({ name }) => name === spec.name).map(({ state }) => state), POLL)
        .toEqual(states);

    test("a machine is started paused, runs, pauses, stops and is gone; each change is told once", async () => {
      const { name } = spec;
      expect(await stateOf(name)).toBe("absent");
      await driver.ensureDefined(spec, mark, signal);
      expect(await stateOf(name)).toBe("shut_off");
      await expectEvents("shut_off");
      await driver.ensureStarted(spec, mark, signal);
      expect(await stateOf(name)).toBe("paused");
      await expectEvents("shut_off", "paused");
      await driver.ensureResumed(name, signal);
      await expectEvents("shut_off", "paused", "running");
      await driver.ensurePaused(name, signal);
      await expectEvents("shut_off", "paused", "running", "paused");
      await driver.ensureOff(name, signal);
      expect(await stateOf(name)).toBe("shut_off");
      await expectEvents("shut_off", "paused", "running", "paused", "shut_off");
      await driver.ensureAbsent(name, mark, signal);
      expect(await stateOf(name)).toBe("absent");
      await expectEvents("shut_off", "paused", "running", "paused", "shut_off", "absent");
    });

    test("machines of one name in two scopes stand beside each other, also where a name is long", async () => {
      const scopes = [spec.name, `acme~${spec.name}`, `${"s".repeat(63)}~${spec.name}`];
      for (const name of scopes) {
        const owner = ownerOnNode("virtual_machine", name);
        const made = { ...newSpec(name), memoryBytes: spec.memoryBytes };
        await driver.ensureFolder(name, { ...mark, owner });
        await driver.ensureStarted(made, { ...mark, owner }, signal);
      }
      const listed = async (of: readonly { readonly name: string }[]) =>
        of
          .map(({ name }) => name)
          .filter((name) => scopes.includes(name))
          .toSorted();
      expect(await listed(await driver.list(signal))).toEqual(scopes.toSorted());
      expect(await listed(await driver.listFolders(signal))).toEqual(scopes.toSorted());
      for (const name of scopes) {
        await driver.ensureAbsent(name, { owner: ownerOnNode("virtual_machine", name) }, signal);
        expect(await stateOf(name)).toBe("absent");
        expect(await world.hasFolder(name)).toBe(false);
      }
    });

    test("every ensure can be repeated", async () => {
      const { name } = spec;
      for (let i = 0; i < 2; i++) await driver.ensureDefined(spec, mark, signal);
      for (let i = 0; i < 2; i++) await driver.ensureStarted(spec, mark, signal);
      for (let i = 0; i < 2; i++) await driver.ensureResumed(name, signal);
      await driver.ensureStarted(spec, mark, signal);
      expect(await stateOf(name)).toBe("running");
      for (let i = 0; i < 2; i++) await driver.ensurePaused(name, signal);
      for (let i = 0; i < 2; i++) await driver.ensureOff(name, signal);
      for (let i = 0; i < 2; i++) await driver.ensureAbsent(name, mark, signal);
      await driver.ensureOff(name, signal);
      expect(await stateOf(name)).toBe("absent");
    });

    test("the list tells what was asked for, with the mark", async () => {
      const disks = [await world.newDisk(), await world.newDisk()];
      const nics = [await world.newNic()];
      const full = { ...spec, disks, nics, vcpus: 2 };
      await driver.ensureStarted(full, mark, signal);
      const listed = (await driver.list(signal)).filter(({ name }) => name === spec.name);
      expect(listed).toEqual([
        {
          name: spec.name,
          uuid: spec.uuid,
          mark,
          state: "paused",
          vcpus: 2,
          memoryBytes: 64n * MIB,
          diskPaths: disks.map(({ path }) => path),
          nics,
        },
      ]);
    });

    test("a definition of ours is replaced while it is off, even under another uuid, and refused while active", async () => {
      await driver.ensureDefined(spec, mark, signal);
      const changed = { ...spec, uuid: randomUUID(), vcpus: 2 };
      await driver.ensureDefined(changed, { ...mark, transactionId: "tx-2" }, signal);
      expect((await driver.list(signal)).find(({ name }) => name === spec.name)).toMatchObject({
        uuid: changed.uuid,
        vcpus: 2,
        mark,
      });
      await driver.ensureStarted(changed, mark, signal);
      const refused = driver.ensureDefined(changed, mark, signal);
      await expect(refused).rejects.toMatchObject({ kind: "failed_precondition" });
    });

    test("what needs an active machine is refused without one", async () => {
      const { name } = spec;
      const calls = () => [
        driver.ensureResumed(name, signal),
        driver.ensurePaused(name, signal),
        driver.requestShutdown(name, signal),
        driver.reboot(name, false, signal),
        driver.reboot(name, true, signal),
        driver.growDisk(name, "/nowhere", 1n, signal),
        driver.undoGrowDisk(name, "/nowhere", { fromBytes: 1n, toBytes: 2n }, signal),
        driver.openVnc(name),
        driver.openSerial(name),
      ];
      const expectRefused = async () => {
        const outcomes = await Promise.allSettled(calls());
        for (const outcome of outcomes) {
          expect(outcome).toMatchObject({
            status: "rejected",
            reason: { kind: "failed_precondition" },
          });
        }
      };
      await expectRefused();
      await driver.ensureDefined(spec, mark, signal);
      await expectRefused();
    });

    test("a machine of which a disk or a tap is missing is refused, and its remains can be removed", async () => {
      const disk = await world.newDisk();
      const nic = await world.newNic();
      const broken: Partial<DomainSpec>[] = [
        { disks: [disk, { ...disk, path: `${disk.path}-missing` }] },
        { nics: [nic, { ...nic, tapName: "n0-missing" }] },
      ];
      for (const [index, parts] of broken.entries()) {
        const started = driver.ensureStarted({ ...spec, ...parts }, mark, signal);
        const field = index === 0 ? "disks[1]" : "nics[1]";
        await expect(started).rejects.toMatchObject({
          kind: "failed_precondition",
          message: expect.stringContaining(field),
          facts: { field },
        });
        await driver.ensureAbsent(spec.name, mark, signal);
        expect(await stateOf(spec.name)).toBe("absent");
        expect(await world.hasFolder(spec.name)).toBe(false);
      }
    });

    test("a machine larger than the node is refused as resource_exhausted, and its remains can be removed", async () => {
      const started = driver.ensureStarted(
        { ...spec, memoryBytes: world.tooMuchMemoryBytes },
        mark,
        signal,
      );
      await expect(started).rejects.toMatchObject({ kind: "resource_exhausted" });
      await driver.ensureAbsent(spec.name, mark, signal);
      expect(await stateOf(spec.name)).toBe("absent");
    });

    test("a domain that is not ours is never touched, listed or told of", async () => {
      const uuid = randomUUID();
      const { name } = spec;
      await world.addForeign(name, uuid);
      for (const call of [
        () => driver.requireNew(name, mark, signal),
        () => driver.ensureStarted(spec, mark, signal),
        () => driver.ensureDefined(spec, mark, signal),
        () => driver.ensureResumed(name, signal),
        () => driver.reboot(name, true, signal),
      ]) {
        await expect(call()).rejects.toMatchObject({ kind: "failed_precondition" });
      }
      await driver.ensureOff(name, signal);
      await driver.ensureAbsent(name, mark, signal);
      expect(await stateOf(name)).toBe("absent");
      expect((await driver.list(signal)).filter((domain) => domain.name === name)).toEqual([]);
      expect(events.filter((event) => event.name === name)).toEqual([]);
      expect(await world.isForeignIntact(name, uuid)).toBe(true);

      const sameUuid = { ...newSpec(world.newName()), uuid };
      const refused = driver.ensureStarted(sameUuid, mark, signal);
      await expect(refused).rejects.toMatchObject({ kind: "failed_precondition" });
      await driver.ensureAbsent(sameUuid.name, mark, signal);
      expect(await world.isForeignIntact(name, uuid)).toBe(true);
    });

    test("a guest that powers off is seen as shut off and can be started again; one that dies is crashed", async () => {
      await driver.ensureStarted(spec, mark, signal);
      await driver.ensureResumed(spec.name, signal);
      await world.powerOff(spec.name);
      await expect.poll(() => stateOf(spec.name), POLL).toBe("shut_off");
      await expect.poll(() => events.at(-1), POLL).toEqual({ name: spec.name, state: "shut_off" });
      await driver.ensureStarted(spec, mark, signal);
      await world.crash(spec.name);
      await expect.poll(() => events.at(-1), POLL).toEqual({ name: spec.name, state: "crashed" });
      expect(await stateOf(spec.name)).toBe("crashed");
      await expect(driver.ensureResumed(spec.name, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringContaining("its QEMU ended unexpectedly"),
      });
      await driver.ensureOff(spec.name, signal);
      await driver.ensureStarted(spec, mark, signal);
      expect(await stateOf(spec.name)).toBe("paused");
    });

    test("a guest hears the power button when it listens, not what was pressed before, and a reset leaves it deaf", async () => {
      const { name } = spec;
      const guest = { ...spec, disks: [await world.newGuestDisk()] };
      await driver.ensureStarted(guest, mark, signal);
      await driver.ensureResumed(name, signal);
      await driver.requestShutdown(name, signal);
      await world.listen(name);
      await driver.reboot(name, true, signal);
      await world.listen(name);
      expect(await stateOf(name)).toBe("running");
      await driver.requestShutdown(name, signal);
      await expect.poll(() => stateOf(name), POLL).toBe("shut_off");
    });

    test("a guest that is asked to reboot boots again, when it listens", async () => {
      const { name } = spec;
      const guest = { ...spec, disks: [await world.newGuestDisk()] };
      await driver.ensureStarted(guest, mark, signal);
      await driver.ensureResumed(name, signal);
      await driver.reboot(name, false, signal);
      await world.listen(name);
      await driver.reboot(name, false, signal);
      // As one that has booted again; until then it is silent.
      await world.listen(name);
      expect(await stateOf(name)).toBe("running");
      await driver.requestShutdown(name, signal);
      await expect.poll(() => stateOf(name), POLL).toBe("shut_off");
    });

    test("a machine that is paused cannot hear the power button, and a reset leaves it paused", async () => {
      const { name } = spec;
      const guest = { ...spec, disks: [await world.newGuestDisk()] };
      await driver.ensureStarted(guest, mark, signal);
      await driver.ensureResumed(name, signal);
      await world.listen(name);
      await driver.ensurePaused(name, signal);
      for (const press of [
        () => driver.requestShutdown(name, signal),
        () => driver.reboot(name, false, signal),
      ]) {
        await expect(press()).rejects.toMatchObject({
          kind: "failed_precondition",
          message: expect.stringContaining("cannot hear the power button"),
        });
      }
      await driver.reboot(name, true, signal);
      expect(await stateOf(name)).toBe("paused");
      await driver.ensureResumed(name, signal);
      // It begins from the BIOS.
      await driver.requestShutdown(name, signal);
      await world.listen(name);
      expect(await stateOf(name)).toBe("running");
    });

    test("a removal that died when it had ended QEMU is finished by the next, and so is a hard power-off", async () => {
      await driver.ensureStarted(spec, mark, signal);
      await world.powerOff(spec.name);
      await driver.ensureOff(spec.name, signal);
      expect(await stateOf(spec.name)).toBe("shut_off");
      await driver.ensureStarted(spec, mark, signal);
      await world.powerOff(spec.name);
      await driver.ensureAbsent(spec.name, mark, signal);
      expect(await stateOf(spec.name)).toBe("absent");
      expect(await world.hasFolder(spec.name)).toBe(false);
    });

    test("a disk of an active machine grows, and never shrinks", async () => {
      const disk = await world.newDisk();
      await driver.ensureStarted({ ...spec, disks: [disk] }, mark, signal);
      for (let i = 0; i < 2; i++) await driver.growDisk(spec.name, disk.path, 32n * MIB, signal);
      const shrunk = driver.growDisk(spec.name, disk.path, 16n * MIB, signal);
      await expect(shrunk).rejects.toMatchObject({ kind: "failed_precondition" });
      await driver.ensureOff(spec.name, signal);
      expect(await world.diskSizeBytes(disk.path)).toBe(32n * MIB);
    });

    test("the growth of a disk of an active machine is taken back, and no other one", async () => {
      const disk = await world.newDisk();
      await driver.ensureStarted({ ...spec, disks: [disk] }, mark, signal);
      await driver.growDisk(spec.name, disk.path, 32n * MIB, signal);
      await driver.growDisk(spec.name, disk.path, 64n * MIB, signal);
      const growth = { fromBytes: 32n * MIB, toBytes: 64n * MIB };
      for (let i = 0; i < 2; i++) await driver.undoGrowDisk(spec.name, disk.path, growth, signal);
      await driver.ensureOff(spec.name, signal);
      expect(await world.diskSizeBytes(disk.path)).toBe(32n * MIB);
    });

    test("the folder is removed with the machine, and also where there is none", async () => {
      await driver.ensureFolder(spec.name, mark);
      await driver.ensureFolder(spec.name, mark);
      expect(await world.hasFolder(spec.name)).toBe(true);
      await driver.ensureAbsent(spec.name, mark, signal);
      expect(await world.hasFolder(spec.name)).toBe(false);
    });

    test("a new machine is refused where another transaction's domain is, which nothing but its owner removes", async () => {
      const { name } = spec;
      await driver.requireNew(name, mark, signal);
      await driver.ensureStarted(spec, mark, signal);
      await driver.ensureResumed(name, signal);
      const before = (await driver.list(signal)).filter((domain) => domain.name === name);
      await driver.requireNew(name, mark, signal);
      await expect(driver.requireNew(name, later, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringContaining(`a domain for virtual machine "${name}" is left over`),
        facts: { resource: ownerOnNode("virtual_machine", name) },
      });
      await driver.ensureAbsent(name, later, signal);
      await driver.ensureAbsent(name, { owner: "virtual_machine/another" }, signal);
      expect((await driver.list(signal)).filter((domain) => domain.name === name)).toEqual(before);
      expect(await world.hasFolder(name)).toBe(true);
      await driver.ensureAbsent(name, { owner: mark.owner }, signal);
      expect(await stateOf(name)).toBe("absent");
      expect(await world.hasFolder(name)).toBe(false);
    });

    test("a folder keeps the mark it was made with, and is refused and removed by it as a domain", async () => {
      const { name } = spec;
      await driver.ensureFolder(name, mark);
      await driver.ensureFolder(name, later);
      await driver.requireNew(name, mark, signal);
      await expect(driver.requireNew(name, later, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringContaining(`a folder for virtual machine "${name}" is left over`),
      });
      await driver.ensureAbsent(name, later, signal);
      expect(await world.hasFolder(name)).toBe(true);
      await driver.ensureAbsent(name, { owner: mark.owner }, signal);
      expect(await world.hasFolder(name)).toBe(false);
      await driver.requireNew(name, later, signal);
    });

    test("the screen speaks RFB to several viewers, the serial console takes several, and both end with the machine", async () => {
      await driver.ensureStarted(spec, mark, signal);
      const screens = [await driver.openVnc(spec.name), await driver.openVnc(spec.name)];
      for (const screen of screens) {
        const [greeting] = (await once(screen, "data")) as [Buffer];
        expect(greeting.toString()).toMatch(/^RFB 003\.\d{3}\n$/);
      }
      const serials = [await driver.openSerial(spec.name), await driver.openSerial(spec.name)];
      const closed = Promise.all(serials.map((serial) => once(serial.resume(), "close")));
      await driver.ensureOff(spec.name, signal);
      await closed;
      for (const screen of screens) screen.destroy();
    });

    test("following the serial log ends when its signal aborts", async () => {
      await driver.ensureStarted(spec, mark, signal);
      const controller = new AbortController();
      const reading = collect(driver.readSerialLog(spec.name, true, controller.signal));
      controller.abort();
      await reading;
      expect(await collect(driver.readSerialLog(spec.name, false, signal))).toEqual([]);
    });

    test("lists the folders that it made, and not those it removed", async () => {
      const folders = async () =>
        (await driver.listFolders(signal)).filter(({ name }) => name === spec.name);
      expect(await folders()).toEqual([]);
      const path = await driver.ensureFolder(spec.name, mark);
      expect(await folders()).toEqual([{ name: spec.name, mark, path }]);
      await driver.ensureAbsent(spec.name, mark, signal);
      expect(await folders()).toEqual([]);
    });

    test("names that could leave the folder are refused, and an aborted signal does nothing", async () => {
      for (const name of ["", "../x", "a/b", "a b", "'", "x".repeat(64)]) {
        const refused = driver.ensureStarted({ ...spec, name }, mark, signal);
        await expect(refused).rejects.toMatchObject({ kind: "invalid_argument" });
      }
      const aborted = driver.ensureDefined(spec, mark, AbortSignal.abort(new Error("gone")));
      await expect(aborted).rejects.toThrow("gone");
      expect(await stateOf(spec.name)).toBe("absent");
    });
  });
}

export function newSpec(name: string): DomainSpec {
  return {
    name,
    uuid: randomUUID(),
    vcpus: 1,
    cpuMilliCores: 500,
    memoryBytes: 64n * MIB,
    disks: [],
    nics: [],
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
