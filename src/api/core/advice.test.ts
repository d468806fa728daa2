// What refuses because of an owner, while the owner does not exist: nothing but verify helps then.
import { expect, test } from "vitest";
import { networkRef } from "../../../test/refs.ts";
import { refused } from "../../../test/refused.ts";
import { GiB } from "../../../test/scenario.ts";
import { handsOn } from "../../../test/verify-world.ts";
import { newWorld, type World } from "../../../test/world.ts";
import { BlockStorage_BlockStorageState as State } from "../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { interfaces } from "../network/interface/collection.ts";
import { computes } from "../pool/inventory/collection.ts";

const OWNER = "virtual_machine/ghost";

/** A disk, processors and an interface that belong to a virtual machine that does not exist. */
async function haunt(world: World): Promise<void> {
  const hands = handsOn(world);
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const size = { requestBytes: GiB, limitBytes: GiB };
  await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  await hands.changeDisk("disk", { state: State.IN_USE, usedBy: "ghost" });
  const nodeName = "node-1";
  const cpu = { requestCpuMilliCore: 10, limitCpuMilliCore: 10 };
  const memory = { requestMemoryBytes: GiB, limitMemoryBytes: GiB };
  await world.nodes.reserveCompute({ nodeName, computeName: "ghost", ...cpu, ...memory });
  const compute = await hands.read(computes, nodeName, "ghost");
  await hands.write(computes, [nodeName, "ghost"], { ...compute, owner: OWNER });
  const networkInterfaceName = "ghost0";
  await world.networks.reserveNetworkInterface({ networkName: "net", networkInterfaceName });
  const nic = await hands.read(interfaces, networkRef("net"), networkInterfaceName);
  await hands.write(interfaces, [networkRef("net"), networkInterfaceName], {
    ...nic,
    owner: OWNER,
  });
}

const CALLS: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  DeleteBlockStorage: ({ blockStorages }) => blockStorages.deleteBlockStorage({ name: "disk" }),
  SetAvailableBlockStorage: ({ blockStorages }) =>
    blockStorages.setAvailableBlockStorage({ name: "disk" }),
  ReleaseCompute: ({ nodes }) => nodes.releaseCompute({ nodeName: "node-1", computeName: "ghost" }),
  DeleteNode: ({ nodes }) => nodes.deleteNode({ name: "node-1" }),
  ReleaseNetworkInterface: ({ networks }) =>
    networks.releaseNetworkInterface({ networkName: "net", networkInterfaceName: "ghost0" }),
  DeleteNetwork: ({ networks }) => networks.deleteNetwork({ name: "net" }),
};

test.each(Object.entries(CALLS))("%s says where to look if the owner is gone", async (_, call) => {
  await using world = await newWorld();
  await haunt(world);
  const { code, message } = await refused(call(world));
  expect(code).toBe("FailedPrecondition");
  expect(message).toContain("ghost");
  expect(message).toContain('; if that does not exist, see "n0cli verify"');
});
