import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld } from "../../../../test/world.ts";
import { N0Error } from "../../../util/errors.ts";

test("on a datastore that lives on its reserve nothing new is begun, but room can be made", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const full = new N0Error("resource_exhausted", "the disk is full", { retryAfterMs: 5_000 });
  const { datastore } = world.opened.api;
  const { checkRoom } = datastore;
  datastore.checkRoom = () => {
    throw full;
  };
  const before = await world.residue();
  const { transactions: earlier } = await world.transactions.listTransactions({});
  const disk = { name: "disk", requestBytes: GiB, limitBytes: GiB };
  for (const begun of [
    () => world.blockStorages.createBlockStorage(disk),
    () => world.networks.applyNetwork({ name: "more", ipv4Cidr: "10.9.0.0/24" }),
    () => world.virtualMachines.updateVirtualMachine({ name: "web", labels: { a: "b" } }),
  ]) {
    expect(await refused(begun())).toMatchObject({
      code: "ResourceExhausted",
      message: expect.stringContaining("the disk is full"),
    });
  }
  expect(await world.residue()).toEqual(before);
  // Not even a line of the history is written.
  const { transactions } = await world.transactions.listTransactions({});
  expect(transactions).toHaveLength(earlier.length);

  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.blockStorages.deleteBlockStorage({ name: "root" });
  await world.blockStorages.purgeBlockStorage({ name: "root" });
  await world.networks.deleteNetwork({ name: "net" });
  datastore.checkRoom = checkRoom;
  await world.blockStorages.createBlockStorage(disk);
});
