import { expect, test } from "vitest";
import { refused } from "../../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../../test/world.ts";

const KiB = 1 << 10;

async function newWeb(limits: Partial<Record<string, bigint>>): Promise<World> {
  const world = await newWorld();
  await prepareDisk(world);
  const nics = [{ networkName: "net", ...limits }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest(), nics });
  return world;
}

const tapOf = (world: World) => Object.values(world.fakeNodes[0]!.snapshot().network.taps)[0];
const set = (world: World, limits: Partial<Record<string, bigint>>) =>
  world.virtualMachines.setNicLimits({ name: "web", networkInterfaceName: "web0", ...limits });

test("a nic has the limits that it was made with, then those that were set, also after a boot", async () => {
  await using world = await newWeb({ ingressBitsPerSecond: 10_000_000n });
  const ingress = { bytesPerSecond: 1_250_000, burstBytes: 256 * KiB };
  expect(tapOf(world)?.limits).toEqual({ ingress });
  const egress = { egressBitsPerSecond: 1_000_003n, egressBurstBytes: 65_536n };
  const vm = await set(world, egress);
  expect(vm.nics[0]).toMatchObject({ ...egress, ingressBitsPerSecond: 0n });
  // A node counts in bytes.
  const onNode = { egress: { bytesPerSecond: 125_000, burstBytes: 64 * KiB } };
  expect(tapOf(world)?.limits).toEqual(onNode);

  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await set(world, { ingressBitsPerSecond: 10_000_000n });
  await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(tapOf(world)?.limits).toEqual({ ingress });
  expect((await world.verify.verify({})).findings).toEqual([]);
  await set(world, {});
  expect(tapOf(world)?.limits).toBeUndefined();
  expect((await world.verify.verify({})).findings).toEqual([]);
});

test("limits that no nic can have are refused by their names, and nothing changes", async () => {
  await using world = await newWeb({});
  const before = await world.residue();
  expect(await refused(set(world, { egressBitsPerSecond: 9n }))).toMatchObject({
    code: "InvalidArgument",
    field: "egress_bits_per_second",
  });
  const nic = { networkName: "net", ingressBurstBytes: 65_536n };
  expect(await refused(world.virtualMachines.attachNic({ name: "web", nic }))).toMatchObject({
    code: "InvalidArgument",
    field: "nic.ingress_burst_bytes",
  });
  const create = { ...webRequest("other", []), nics: [nic] };
  expect(await refused(world.virtualMachines.createVirtualMachine(create))).toMatchObject({
    code: "InvalidArgument",
    field: "nics[0].ingress_burst_bytes",
  });
  expect(await world.residue()).toEqual(before);
});
