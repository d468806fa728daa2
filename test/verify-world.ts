import { create } from "@bufbuild/protobuf";
import { blockStorages } from "../src/api/provisioning/block-storage/collection.ts";
import type { Api } from "../src/api/provisioning/context.ts";
import { virtualMachines } from "../src/api/provisioning/virtual-machine/collection.ts";
import { type Collection, type KeyParts, put, remove } from "../src/datastore/collection.ts";
import { merge } from "../src/datastore/datastore.ts";
import type { Part } from "../src/datastore/key.ts";
import { referenceWrites } from "../src/datastore/references.ts";
import type { BlockStorage } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { BlockStorageSchema } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { VirtualMachineSchema } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Finding } from "../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { collect } from "./collect.ts";
import type { FakeDrivers } from "./fake-node.ts";
import { blockStorageRef, vmRef } from "./refs.ts";
import { GiB, prepareImage, REQUEST_NODE, SSH_KEY, webRequest } from "./scenario.ts";
import { newWorld, type World } from "./world.ts";

const ON_NODE_1 = { [REQUEST_NODE]: "node-1" };
const ON_NODE_2 = { [REQUEST_NODE]: "node-2" };

/**
 * Two nodes with one of everything. On node-1 `web` runs with the block storages `root` and `over` (an overlay
 * on `base`) and the keys of `alice`; `cold` is shut down there, with `spare`. On node-2 `far` rests on a copy
 * of `base`.
 */
export async function newVerifyWorld(): Promise<World> {
  const world = await newWorld({ nodeCount: 2, inMemory: true });
  await fillWorld(world);
  return world;
}

export async function fillWorld(world: World): Promise<void> {
  await world.networks.applyNetwork({
    name: "net",
    ipv4Cidr: "10.0.0.0/24",
    ipv6Cidr: "fd00:7::/64",
  });
  await world.users.createUser({ name: "alice" });
  await world.users.addSshPublicKey({
    userName: "alice",
    sshPublicKeyName: "home",
    sshPublicKey: SSH_KEY,
  });
  const size = { requestBytes: GiB, limitBytes: 10n * GiB };
  for (const name of ["root", "spare", "loose"]) {
    await world.blockStorages.createBlockStorage({ name, ...size, annotations: ON_NODE_1 });
  }
  await prepareImage(world);
  const from = { imageName: "debian", tag: "12", ...size };
  await world.images.generateBlockStorage({
    ...from,
    blockStorageName: "over",
    annotations: ON_NODE_1,
  });
  await world.images.generateBlockStorage({
    ...from,
    blockStorageName: "far",
    annotations: ON_NODE_2,
  });
  const web = { ...webRequest("web", ["root", "over"]), userNames: ["alice"] };
  await world.virtualMachines.createVirtualMachine(web);
  await world.virtualMachines.createVirtualMachine(webRequest("cold", ["spare"]));
  await world.virtualMachines.shutdownVirtualMachine({ name: "cold", hard: true });
}

/** Changes things without the API. */
export interface Hands {
  readonly world: World;
  readonly api: Api;
  /** The drivers of node-1. */
  readonly here: FakeDrivers;
  /** The drivers of node-2. */
  readonly there: FakeDrivers;
  readonly signal: AbortSignal;
  write<T, F extends Part>(of: Collection<T, F>, parts: KeyParts<F>, value: T): Promise<void>;
  drop<T, F extends Part>(of: Collection<T, F>, ...parts: KeyParts<F>): Promise<void>;
  read<T, F extends Part>(of: Collection<T, F>, ...parts: KeyParts<F>): Promise<T>;
  changeMachine(name: string, change: Partial<VirtualMachine>): Promise<void>;
  changeDisk(name: string, change: Partial<BlockStorage>): Promise<void>;
}

export function handsOn(world: World): Hands {
  const { api } = world.opened;
  const [here, there] = world.fakeNodes.map(({ drivers }) => drivers);
  const hands: Hands = {
    world,
    api,
    here: here!,
    there: there!,
    signal: AbortSignal.timeout(30_000),
    write: async (of, parts, value) => void (await api.datastore.batch(put(of, parts, value))),
    drop: async (of, ...parts) => void (await api.datastore.batch(remove(of, ...parts))),
    read: async (of, ...parts) => (await api.records.find(of, ...parts))!.value,
    async changeMachine(name, change) {
      const ref = vmRef(name);
      const vm = await hands.read(virtualMachines, ref);
      const after = create(VirtualMachineSchema, { ...vm, ...change });
      const key = virtualMachines.key(ref);
      const referred = referenceWrites(virtualMachines, key, vm, after);
      await api.datastore.batch(merge(put(virtualMachines, [ref], after), referred));
    },
    async changeDisk(name, change) {
      const ref = blockStorageRef(name);
      const disk = await hands.read(blockStorages, ref);
      await hands.write(blockStorages, [ref], create(BlockStorageSchema, { ...disk, ...change }));
    },
  };
  return hands;
}

export async function findingsIn(world: World): Promise<readonly Finding[]> {
  return (await world.verify.verify({})).findings;
}

export async function repairIn(world: World) {
  return await collect(world.verify.repair({}));
}

/** One line for each, so that a failed assertion is easy to read. */
export function linesOf(findings: readonly Finding[]): string[] {
  return findings.map(
    ({ code, resource, nodeName, expected, found }) =>
      `${code} ${resource} on "${nodeName}": ${expected} / ${found}`,
  );
}
