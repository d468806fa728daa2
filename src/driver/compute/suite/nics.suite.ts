import { describe, expect, test } from "vitest";
import type { NicSpec } from "../domain.ts";
import { type ComputeDriverWorld, mark, onEachWorld, POLL, signal } from "./world.suite.ts";

const PATIENCE = { timeoutMs: 15_000 };
const IMPATIENCE = { timeoutMs: 300 };

/** Nics that come and go. */
export function domainNicsSuite(title: string, newWorld: () => Promise<ComputeDriverWorld>): void {
  describe(`${title} as DomainNics`, () => {
    const on = onEachWorld(newWorld);

    async function newNics(count: number): Promise<NicSpec[]> {
      const nics: NicSpec[] = [];
      for (let i = 0; i < count; i++) {
        const { tapName } = await on.world.newNic();
        nics.push({ tapName, hardwareAddress: `52:54:00:00:00:a${i}`, pciSlot: 20 + i });
      }
      return nics;
    }
    const tapsOf = async (name: string) =>
      (await on.driver.list(signal))
        .find((domain) => domain.name === name)
        ?.nics.map(({ tapName }) => tapName);
    const tapNames = (nics: readonly NicSpec[]) => nics.map(({ tapName }) => tapName);

    test("one that is off gets a nic and loses it, and the others stay in their places", async () => {
      const { driver, spec } = on;
      const [first, second, third] = (await newNics(3)) as [NicSpec, NicSpec, NicSpec];
      await driver.ensureDefined({ ...spec, nics: [first, second] }, mark, signal);
      for (let i = 0; i < 2; i++) await driver.ensureNic(spec.name, third, signal);
      expect(await tapsOf(spec.name)).toEqual(tapNames([first, second, third]));
      for (let i = 0; i < 2; i++) {
        await driver.ensureNicAbsent(spec.name, first.hardwareAddress, IMPATIENCE, signal);
      }
      expect(await tapsOf(spec.name)).toEqual(tapNames([second, third]));
      await driver.ensureNic(spec.name, first, signal);
      expect(await tapsOf(spec.name)).toEqual(tapNames([first, second, third]));
    });

    test("a running guest gets a nic and releases it, now and after its next start", async () => {
      const { world, driver, spec } = on;
      const [first, second] = (await newNics(2)) as [NicSpec, NicSpec];
      const machine = { ...spec, disks: [await world.newGuestDisk()], nics: [first] };
      await driver.ensureStarted(machine, mark, signal);
      await driver.ensureResumed(spec.name, signal);
      await world.listen(spec.name);
      for (let i = 0; i < 2; i++) await driver.ensureNic(spec.name, second, signal);
      expect(await tapsOf(spec.name)).toEqual(tapNames([first, second]));
      for (let i = 0; i < 2; i++) {
        await driver.ensureNicAbsent(spec.name, first.hardwareAddress, PATIENCE, signal);
      }
      expect(await tapsOf(spec.name)).toEqual(tapNames([second]));
      await driver.ensureOff(spec.name, signal);
      expect(await tapsOf(spec.name)).toEqual(tapNames([second]));
    });

    test("a guest that does not release a nic keeps it, and it is gone once the guest is off", async () => {
      const { world, driver, spec } = on;
      const [nic] = (await newNics(1)) as [NicSpec];
      await driver.ensureStarted({ ...spec, nics: [nic] }, mark, signal);
      await driver.ensureResumed(spec.name, signal);
      await world.keepNics(spec.name);
      const absent = () =>
        driver.ensureNicAbsent(spec.name, nic.hardwareAddress, IMPATIENCE, signal);
      for (let i = 0; i < 2; i++) {
        await expect(absent()).rejects.toMatchObject({
          kind: "failed_precondition",
          message: expect.stringContaining("has not released nic 52:54:00:00:00:a0"),
        });
      }
      expect(await tapsOf(spec.name)).toEqual(tapNames([nic]));
      await driver.ensureOff(spec.name, signal);
      await absent();
      expect(await tapsOf(spec.name)).toEqual([]);
    });

    test("a paused guest is not asked, and nothing is taken from what is not there", async () => {
      const { driver, spec, stateOf } = on;
      const [nic] = (await newNics(1)) as [NicSpec];
      await driver.ensureNicAbsent(spec.name, nic.hardwareAddress, IMPATIENCE, signal);
      await expect(driver.ensureNic(spec.name, nic, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
      });
      await driver.ensureStarted({ ...spec, nics: [nic] }, mark, signal);
      await expect.poll(() => stateOf(spec.name), POLL).toBe("paused");
      await expect(
        driver.ensureNicAbsent(spec.name, nic.hardwareAddress, PATIENCE, signal),
      ).rejects.toMatchObject({ kind: "failed_precondition" });
    });

    test("an active domain gets no nic without its tap", async () => {
      const { driver, spec } = on;
      await driver.ensureStarted(spec, mark, signal);
      const nic = { tapName: "n0-missing", hardwareAddress: "52:54:00:00:00:a0", pciSlot: 3 };
      await expect(driver.ensureNic(spec.name, nic, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringContaining("n0-missing"),
      });
      expect(await tapsOf(spec.name)).toEqual([]);
    });
  });
}
