import { create } from "@bufbuild/protobuf";
import {
  addresses,
  hardwareAddresses,
  interfaces,
  taps,
} from "../src/api/network/interface/collection.ts";
import { computes } from "../src/api/pool/inventory/collection.ts";
import { uuids, virtualMachines } from "../src/api/provisioning/virtual-machine/collection.ts";
import { put } from "../src/datastore/collection.ts";
import { merge, type Writes } from "../src/datastore/datastore.ts";
import { referenceWrites } from "../src/datastore/references.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  VirtualMachineSchema,
} from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatAddress } from "../src/util/cidr.ts";
import { until } from "../src/util/until.ts";
import { type FakeCloud, type FakeNodes, nodeName } from "./control-plane.ts";

const BATCH = 500;
/** 10.8.0.0: the creates are given those at the end of 10.0.0.0/12. */
const FIRST_ADDRESS = 0x0a08_0000n;

export const seededName = (index: number) => `seeded-${String(index).padStart(6, "0")}`;

/**
 * Puts that many running virtual machines there, as creates would have left them but for their block storages:
 * their records, references, reservations and domains. Resolves when the API has seen the domains.
 */
export async function seedMachines(
  { opened, virtualMachines: client, fakes: nodes }: FakeCloud,
  count: number,
): Promise<void> {
  const { datastore } = opened.api;
  for (let from = 0; from < count; from += BATCH) {
    const writes: Writes[] = [];
    for (let i = from; i < Math.min(from + BATCH, count); i++) {
      writes.push(machineWrites(i, nodes.list.length));
      await startDomain(nodes, i);
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

const uuidOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const macOf = (index: number) => {
  const hex = index.toString(16).padStart(6, "0");
  return `52:54:ff:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
};

function machineWrites(index: number, nodeCount: number): Writes {
  const name = seededName(index);
  const node = nodeName(index % nodeCount);
  const nic = {
    networkName: "net",
    hardwareAddress: macOf(index),
    ipv4Address: formatAddress(FIRST_ADDRESS + BigInt(index), 4),
    ipv6Address: "",
  };
  const owned = { owner: `virtual_machine/${name}`, transactionId: "seeded", annotations: {} };
  const memoryBytes = 64n << 20n;
  const machine = create(VirtualMachineSchema, {
    name,
    uuid: uuidOf(index),
    requestCpuMilliCore: 10,
    limitCpuMilliCore: 1_000,
    requestMemoryBytes: memoryBytes,
    limitMemoryBytes: memoryBytes,
    blockStorageNames: [name],
    nics: [nic],
    networkInterfaceNames: [`${name}0`],
    state: State.RUNNING,
    computeNodeName: node,
    computeName: name,
    labels: { seeded: "true" },
  });
  const compute = {
    ...owned,
    name,
    requestCpuMilliCore: 10,
    limitCpuMilliCore: 1_000,
    requestMemoryBytes: memoryBytes.toString(),
    limitMemoryBytes: memoryBytes.toString(),
    counted: { cpuMilliCores: 10, memoryBytes: memoryBytes.toString(), storageBytes: "0" },
  };
  const reserved = {
    ...owned,
    ...nic,
    name: `${name}0`,
    nodeName: node,
    tapName: `seeded${index}`,
  };
  return merge(
    put(virtualMachines, [name], machine),
    put(computes, [node, name], compute),
    referenceWrites(virtualMachines, virtualMachines.key(name), undefined, machine),
    put(interfaces, ["net", reserved.name], reserved),
    put(addresses, ["net", reserved.ipv4Address], { usedBy: reserved.name }),
    put(hardwareAddresses, ["net", reserved.hardwareAddress], { usedBy: reserved.name }),
    put(taps, [node, reserved.tapName], { usedBy: reserved.name }),
    put(uuids, [uuidOf(index)], { usedBy: name }),
  );
}

async function startDomain(nodes: FakeNodes, index: number): Promise<void> {
  const { compute } = nodes.list[index % nodes.list.length]!.drivers;
  const name = seededName(index);
  const { signal } = new AbortController();
  const mark = { owner: `virtual_machine/${name}`, transactionId: "seeded" };
  const shape = { vcpus: 1, cpuMilliCores: 10, memoryBytes: 64n << 20n, disks: [], nics: [] };
  await compute.ensureStarted({ name, uuid: uuidOf(index), ...shape }, mark, signal);
  await compute.ensureResumed(name, signal);
}
