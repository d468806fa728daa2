import { dirname } from "node:path";
import type { FakeComputeDriver } from "../src/driver/compute/fake/fake-compute.ts";
import { createFakeComputeDriver } from "../src/driver/compute/fake/fake-compute-driver.ts";
import { newFakeNetworkDriver } from "../src/driver/network/fake-network-driver.ts";
import type { FakeSeedDriver } from "../src/driver/seed/fake-seed-driver.ts";
import { newFakeSeedDriver } from "../src/driver/seed/fake-seed-driver.ts";
import { newFakeVolumeDriver } from "../src/driver/volume/fake-volume-driver.ts";
import type { VolumeDriver } from "../src/driver/volume/volume-driver.ts";
import type { FakeDrivers } from "./fake-node.ts";

/**
 * The fake drivers of one node, connected like those of a real node: a domain needs its disks and taps, growing
 * a disk in use grows its volume, and removing a folder removes its seed.
 */
export function newFakeDrivers(): FakeDrivers {
  return newFakeDriversOver(newFakeVolumeDriver());
}

/** A driver of volumes that knows which volume has a path. */
type VolumesByPath = VolumeDriver & { idAt(path: string): string | undefined };

/** The same over other volumes, such as real files. */
export function newFakeDriversOver<V extends VolumesByPath>(volume: V) {
  const network = newFakeNetworkDriver();
  const seed = newFakeSeedDriver();
  const compute = createFakeComputeDriver({
    hasDisk: (path) => seed.seeds.has(path) || volume.idAt(path) !== undefined,
    hasTap: (tapName) => network.hasTap(tapName),
  });
  return { compute: joined(compute, volume, seed), volume, network, seed };
}

function joined(
  compute: FakeComputeDriver,
  volume: VolumesByPath,
  seed: FakeSeedDriver,
): FakeComputeDriver {
  return {
    ...compute,
    async growDisk(name, path, sizeBytes, signal) {
      await compute.growDisk(name, path, sizeBytes, signal);
      const id = volume.idAt(path);
      if (id !== undefined) await volume.ensureSize(id, sizeBytes, signal);
    },
    async undoGrowDisk(name, path, growth, signal) {
      await compute.undoGrowDisk(name, path, growth, signal);
      const id = volume.idAt(path);
      if (id !== undefined) await volume.undoGrowth(id, growth, signal);
    },
    async ensureAbsent(name, maker, signal) {
      try {
        await compute.ensureAbsent(name, maker, signal);
      } finally {
        // Also if the answer is lost: the folder decides, and its content is gone with it.
        dropSeed(compute, seed, name);
      }
    },
  };
}

function dropSeed(compute: FakeComputeDriver, seed: FakeSeedDriver, name: string): void {
  if (compute.snapshot().folders.includes(name)) return;
  const path = seed.seeds.keys().find((known) => known.endsWith(`/${name}/seed.iso`));
  if (path !== undefined) seed.removeFolder(dirname(path));
}
