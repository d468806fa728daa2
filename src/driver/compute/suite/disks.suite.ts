import { describe, expect, test } from "vitest";
import { type ComputeDriverWorld, MIB, mark, onEachWorld, signal } from "./world.suite.ts";

/** What an active domain is told of its disks. */
export function domainDisksSuite(title: string, newWorld: () => Promise<ComputeDriverWorld>): void {
  describe(`${title} as DomainDisks`, () => {
    const on = onEachWorld(newWorld);

    test("a disk of an active virtual machine grows, and never shrinks", async () => {
      const { world, driver, spec } = on;
      const disk = await world.newDisk();
      await driver.ensureStarted({ ...spec, disks: [disk] }, mark, signal);
      for (let i = 0; i < 2; i++) await driver.growDisk(spec.name, disk.path, 32n * MIB, signal);
      const shrunk = driver.growDisk(spec.name, disk.path, 16n * MIB, signal);
      await expect(shrunk).rejects.toMatchObject({ kind: "failed_precondition" });
      await driver.ensureOff(spec.name, signal);
      expect(await world.diskSizeBytes(disk.path)).toBe(32n * MIB);
    });

    test("the growth of a disk of an active virtual machine is taken back, and no other one", async () => {
      const { world, driver, spec } = on;
      const disk = await world.newDisk();
      await driver.ensureStarted({ ...spec, disks: [disk] }, mark, signal);
      await driver.growDisk(spec.name, disk.path, 32n * MIB, signal);
      await driver.growDisk(spec.name, disk.path, 64n * MIB, signal);
      const growth = { fromBytes: 32n * MIB, toBytes: 64n * MIB };
      for (let i = 0; i < 2; i++) await driver.undoGrowDisk(spec.name, disk.path, growth, signal);
      await driver.ensureOff(spec.name, signal);
      expect(await world.diskSizeBytes(disk.path)).toBe(32n * MIB);
    });
  });
}
