import { create } from "@bufbuild/protobuf";
import { seedFromWire } from "../src/agent/domain-messages.ts";
import {
  addresses,
  hardwareAddresses,
  interfaces,
  taps,
} from "../src/api/network/interface/collection.ts";
import { networkBeside, networks } from "../src/api/network/network/collection.ts";
import { computes, storages } from "../src/api/pool/inventory/collection.ts";
import { blockStorages } from "../src/api/provisioning/block-storage/collection.ts";
import { reservationOf } from "../src/api/provisioning/block-storage/make.ts";
import { uuids, virtualMachines } from "../src/api/provisioning/virtual-machine/collection.ts";
import {
  domainMessage,
  seedMessage,
} from "../src/api/provisioning/virtual-machine/domain/domain-messages.ts";
import { planOf } from "../src/api/provisioning/virtual-machine/domain/plan.ts";
import { computeReservationOf } from "../src/api/provisioning/virtual-machine/reservations.ts";
import { put } from "../src/datastore/collection.ts";
import { merge, type Writes } from "../src/datastore/datastore.ts";
import { referenceWrites } from "../src/datastore/references.ts";
import { EnsureSeedRequestSchema } from "../src/gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { Network } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import {
  BlockStorageSchema,
  BlockStorage_BlockStorageState as DiskState,
} from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  VirtualMachineSchema,
} from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { deviceName } from "../src/util/checksum.ts";
import { formatAddress } from "../src/util/cidr.ts";
import { defined } from "../src/util/defined.ts";
import { formatRef } from "../src/util/ref.ts";
import { until } from "../src/util/until.ts";
import type { FakeNode } from "../test/fake-node.ts";
import { blockStorageRef, networkRef, vmRef } from "../test/refs.ts";
import { type FakeCloud, nodeName } from "./control-plane.ts";

const BATCH = 500;
/** 10.8.0.0: creates get the addresses at the end of 10.0.0.0/12. */
const FIRST_ADDRESS = 0x0a08_0000n;

export const seededName = (index: number) => `seeded-${String(index).padStart(6, "0")}`;

/**
 * Writes that many running virtual machines, each with a block storage and a nic, as creates would have left
 * them: their records, references and reservations, and everything on their nodes. Resolves when the API has
 * seen the domains.
 */
export async function seedMachines(
  { opened, virtualMachines: client, fakes: nodes }: FakeCloud,
  count: number,
): Promise<void> {
  const { datastore, records } = opened.api;
  const network = (await records.find(networks, networkRef("net")))!.value;
  for (let from = 0; from < count; from += BATCH) {
    const writes: Writes[] = [];
    for (let i = from; i < Math.min(from + BATCH, count); i++) {
      const seeded = newSeeded(i, nodes.list.length);
      writes.push(machineWrites(seeded), diskWrites(seeded));
      await startDomain(nodes.list[i % nodes.list.length]!, seeded, network);
    }
    await datastore.batch(merge(...writes));
  }
  const last = { name: seededName(count - 1) };
  if (count > 0) {
    await until(
      async () => {
        return (await client.getVirtualMachine(last)).state === State.RUNNING;
      },
      { what: "seeing the domains", timeoutMs: 60_000 },
    );
  }
}

const MEMORY_BYTES = 64n << 20n;
const uuidOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const macOf = (index: number) => {
  const hex = index.toString(16).padStart(6, "0");
  return `52:54:ff:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
};

type Seeded = ReturnType<typeof newSeeded>;

function newSeeded(index: number, nodeCount: number) {
  const name = seededName(index);
  const ref = vmRef(name);
  const diskRef = blockStorageRef(name);
  const node = nodeName(index % nodeCount);
  const volumeId = `${name}.${String(index).padStart(12, "0")}`;
  const nic = {
    networkName: "net",
    hardwareAddress: macOf(index),
    ipv4Address: formatAddress(FIRST_ADDRESS + BigInt(index), 4),
    ipv6Address: "",
  };
  const disk = create(BlockStorageSchema, {
    name,
    requestBytes: 1n << 20n,
    limitBytes: 1n << 30n,
    state: DiskState.IN_USE,
    usedBy: name,
    nodeName: node,
    storageName: name,
    volumeId,
  });
  const machine = create(VirtualMachineSchema, {
    name,
    uuid: uuidOf(index),
    requestCpuMilliCore: 10,
    limitCpuMilliCore: 1_000,
    requestMemoryBytes: MEMORY_BYTES,
    limitMemoryBytes: MEMORY_BYTES,
    blockStorageNames: [name],
    nics: [nic],
    networkInterfaceNames: [`${name}0`],
    state: State.RUNNING,
    computeNodeName: node,
    computeName: name,
    labels: { seeded: "true" },
  });
  const reserved = {
    owner: formatRef(ref),
    transactionId: "seeded",
    annotations: {},
    ...nic,
    name: `${name}0`,
    nodeName: node,
    tapName: deviceName(`${name}0`),
  };
  return { ref, diskRef, node, disk, machine, reserved };
}

function machineWrites({ ref, node, machine, reserved }: Seeded): Writes {
  const { uuid } = machine;
  const compute = {
    ...computeReservationOf(ref, machine),
    transactionId: "seeded",
    counted: { cpuMilliCores: 10, memoryBytes: MEMORY_BYTES.toString(), storageBytes: "0" },
  };
  const net = networkRef("net");
  return merge(
    put(virtualMachines, [ref], machine),
    put(computes, [node, compute.name], compute),
    referenceWrites(virtualMachines, virtualMachines.key(ref), undefined, machine),
    put(interfaces, [net, reserved.name], reserved),
    put(addresses, [net, reserved.ipv4Address], { usedBy: reserved.name }),
    put(hardwareAddresses, [net, reserved.hardwareAddress], { usedBy: reserved.name }),
    put(taps, [node, reserved.tapName], { usedBy: reserved.name }),
    put(uuids, [uuid], { usedBy: ref.name }),
  );
}

function diskWrites({ diskRef, node, disk }: Seeded): Writes {
  const storage = {
    ...reservationOf(diskRef, disk),
    transactionId: "seeded",
    counted: { cpuMilliCores: 0, memoryBytes: "0", storageBytes: disk.requestBytes.toString() },
  };
  return merge(
    put(blockStorages, [diskRef], disk),
    put(storages, [node, disk.volumeId], storage),
    referenceWrites(blockStorages, blockStorages.key(diskRef), undefined, disk),
  );
}

async function startDomain(
  { drivers }: FakeNode,
  { ref, diskRef, disk, machine, reserved }: Seeded,
  network: Network,
): Promise<void> {
  const { compute, network: networkDriver, seed, volume } = drivers;
  const { signal } = new AbortController();
  const mark = { owner: reserved.owner, transactionId: "seeded" };
  const { tapName } = reserved;
  const { volumeId } = disk;
  const plan = planOf(ref, machine, {
    volumeIds: new Map([[disk.name, volumeId]]),
    nics: [{ ref: networkBeside(ref, network.name), network, tapName, pciSlot: 3 }],
    userKeys: [],
    nameservers: [],
  });
  const { ipv4Gateway, identity } = plan.taps[0]!;
  const diskMark = { ...mark, owner: formatRef(diskRef) };
  await volume.ensureEmpty(volumeId, disk.limitBytes, diskMark, signal);
  await networkDriver.ensureTap(tapName, mark, signal);
  const spec = { name: network.name, ipv4Gateway };
  await networkDriver.ensureAttached(tapName, spec, signal, defined({ identity }));
  const folder = await compute.ensureFolder(machine.name, mark);
  const content = seedFromWire(create(EnsureSeedRequestSchema, seedMessage(plan.seed)));
  const seedPath = await seed.ensure(folder, content, signal);
  const { nics, ...shape } = domainMessage(plan.domain);
  const disks = [
    { path: volume.path(volumeId), format: "qcow2", device: "disk" },
    { path: seedPath, format: "raw", device: "cdrom" },
  ] as const;
  await compute.ensureStarted({ ...shape, disks, nics }, mark, signal);
  await compute.ensureResumed(machine.name, signal);
}
