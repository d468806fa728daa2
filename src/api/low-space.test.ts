import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { refused } from "../../test/refused.ts";
import { GiB, MiB, prepareDisk, prepareImage, webRequest } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";
import { newFreeSpace } from "../driver/volume/free-space.ts";

/** A node whose disk is filled and emptied by `disk.freeBytes`; it keeps 1 GiB free. */
async function newFillingWorld() {
  const world = await newWorld({ inMemory: true });
  const disk = { sizeBytes: 100n * GiB, freeBytes: 50n * GiB };
  const options = { folder: "/x", clock: newFakeClock(), read: async () => disk };
  world.fakeNodes[0]!.drivers.volume.space = newFreeSpace(options);
  return { world, disk };
}

const making: readonly [what: string, make: (world: World) => Promise<unknown>][] = [
  [
    "an empty disk",
    ({ blockStorages }) =>
      blockStorages.createBlockStorage({ name: "x", requestBytes: 1n, limitBytes: 1024n * GiB }),
  ],
  [
    "a copy",
    ({ blockStorages }) =>
      blockStorages.copyBlockStorage({
        name: "x",
        sourceBlockStorage: "base",
        requestBytes: GiB,
        limitBytes: GiB,
      }),
  ],
  [
    "a disk from an image",
    ({ images }) =>
      images.generateBlockStorage({
        imageName: "debian",
        tag: "12",
        blockStorageName: "x",
        requestBytes: GiB,
        limitBytes: GiB,
      }),
  ],
  [
    "a larger disk",
    ({ blockStorages }) =>
      blockStorages.updateBlockStorage({
        name: "root",
        limitBytes: 20n * GiB,
        updateMask: { paths: ["limit_bytes"] },
      }),
  ],
  [
    "a virtual machine",
    ({ virtualMachines }) => virtualMachines.createVirtualMachine(webRequest()),
  ],
];

test.each(making)(
  "%s is refused below what the disk keeps free, and nothing is left",
  async (_, make) => {
    const { world, disk } = await newFillingWorld();
    await using _world = world;
    await prepareDisk(world);
    await prepareImage(world);
    const before = await world.residue();
    disk.freeBytes = GiB - MiB;
    expect(await refused(make(world))).toMatchObject({
      code: "ResourceExhausted",
      message: expect.stringMatching(
        /node "node-1": the node's disk has no room: 1072693248 bytes are free, of which 1073741824 are kept so \(storage-free-min\)/,
      ),
      rollback: "done",
    });
    expect(await world.residue()).toEqual(before);
    disk.freeBytes = GiB;
    await make(world);
  },
);

test("what gives room back works below what the disk keeps free", async () => {
  const { world, disk } = await newFillingWorld();
  await using _ = world;
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  disk.freeBytes = 0n;
  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.blockStorages.deleteBlockStorage({ name: "root" });
  await world.blockStorages.purgeBlockStorage({ name: "root" });
  expect(world.fakeNodes[0]!.drivers.volume.snapshot()).toEqual([]);
});
