import { describe, expect, test } from "vitest";
import type { DomainSpec } from "../domain.ts";
import { type ComputeDriverWorld, mark, onEachWorld, POLL, signal } from "./world.suite.ts";

/** Whether domains run, and what is told of it. */
export function domainPowerSuite(title: string, newWorld: () => Promise<ComputeDriverWorld>): void {
  describe(`${title} as a DomainPower`, () => {
    const on = onEachWorld(newWorld);

    test("a virtual machine is started paused, runs, pauses, stops and is gone; each change is told once", async () => {
      const { driver, spec, stateOf, expectEvents } = on;
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

    test("every ensure can be repeated", async () => {
      const { driver, spec, stateOf } = on;
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

    test("what needs an active virtual machine is refused without one", async () => {
      const { driver, spec } = on;
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

    test("a virtual machine of which a disk or a tap is missing is refused, and its remains can be removed", async () => {
      const { world, driver, spec, stateOf } = on;
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

    test("a virtual machine larger than the node is refused as resource_exhausted, and its remains can be removed", async () => {
      const { world, driver, spec, stateOf } = on;
      const started = driver.ensureStarted(
        { ...spec, memoryBytes: world.tooMuchMemoryBytes },
        mark,
        signal,
      );
      await expect(started).rejects.toMatchObject({ kind: "resource_exhausted" });
      await driver.ensureAbsent(spec.name, mark, signal);
      expect(await stateOf(spec.name)).toBe("absent");
    });

    test("a guest that powers off is seen as shut off and can be started again; one that dies is crashed", async () => {
      const { world, driver, events, spec, stateOf } = on;
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
      const { world, driver, spec, stateOf } = on;
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
      const { world, driver, spec, stateOf } = on;
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

    test("a virtual machine that is paused cannot hear the power button, and a reset leaves it paused", async () => {
      const { world, driver, spec, stateOf } = on;
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
      const { world, driver, spec, stateOf } = on;
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
  });
}
