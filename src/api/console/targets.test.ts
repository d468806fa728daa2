import { expect, test } from "vitest";
import { blockStorageRef, vmRef } from "../../../test/refs.ts";
import { prepareDisk, webRequest } from "../../../test/scenario.ts";
import { newWorld } from "../../../test/world.ts";
import { consoleFinder, volumeFinder } from "./targets.ts";

test("what is made anew under a name is another: a link to the former does not open it", async () => {
  await using world = await newWorld({ inMemory: true });
  const find = async () => ({
    incarnation: (await consoleFinder(world.opened.api)(vmRef("web"))).incarnation,
    volumeId: (await volumeFinder(world.opened.api)(blockStorageRef("disk"))).volumeId,
  });
  const make = async () => {
    await prepareDisk(world);
    const disk = { name: "disk", requestBytes: 1n << 30n, limitBytes: 1n << 30n };
    await world.blockStorages.createBlockStorage(disk);
    await world.virtualMachines.createVirtualMachine(webRequest());
  };
  await make();
  const before = await find();
  expect(await find()).toEqual(before);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  for (const { name } of (await world.blockStorages.listBlockStorages({})).blockStorages) {
    await world.blockStorages.deleteBlockStorage({ name });
    await world.blockStorages.purgeBlockStorage({ name });
  }
  for (const { name } of (await world.networks.listNetworks({})).networks) {
    await world.networks.deleteNetwork({ name });
  }
  await make();
  const after = await find();
  expect(after.incarnation).not.toBe(before.incarnation);
  expect(after.volumeId).not.toBe(before.volumeId);
});
