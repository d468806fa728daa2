import { remove, unchanged } from "../../../datastore/collection.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Image } from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Later } from "../../../transaction/step.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import type { Api, Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { DONE } from "../../core/saga/tx.ts";
import { images } from "../../deployment/image/collection.ts";
import { isRegistered, unregistered } from "../../deployment/image/image-record.ts";
import {
  blockStorages,
  type Replica,
  replicas,
} from "../../provisioning/block-storage/collection.ts";
import { removeFile } from "../../provisioning/block-storage/removal.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { releaseIdentity } from "../../provisioning/virtual-machine/delete.ts";
import { allocations, computes, storages } from "../inventory/collection.ts";
import { heartbeats, nodes } from "./collection.ts";
import { type Fate, fateOf, writeFate } from "./lost-disk.ts";

/** Everything that was on the node, or names something that was. */
interface Remains {
  readonly vms: readonly VirtualMachine[];
  readonly disks: readonly { readonly disk: BlockStorage; readonly fate: Fate }[];
  /** Those in which one of the disks that go is registered. */
  readonly images: readonly Image[];
  /** The copies there of bases that are elsewhere. */
  readonly copies: readonly Stored<Replica>[];
}

/**
 * Forgets a node that is lost, with its virtual machines and disks, all at once. A base of which another
 * node has a copy that disks rest on, or may, goes on there.
 *
 * @throws N0Error `not_found`; `failed_precondition` for a node that is not lost, or while one of its
 *   objects is PENDING; `aborted` when one of them is busy.
 */
export async function deleteLostNode(api: Api, call: Call, name: string): Promise<void> {
  let remains: Remains;
  const keys = async () => {
    remains = await remainsOf(api, name);
    return keysOf(name, remains);
  };
  await runSaga(api, call, { method: NodeService.method.deleteNode, keys }, async (tx) => {
    const node = (await api.records.find(nodes, name))?.value;
    if (node === undefined) throw notFound("node", name);
    if (!node.lost) {
      throw new N0Error(
        "failed_precondition",
        `node "${name}" is not lost: delete what is on it first, or if the machine will never come back, say so with "n0cli node lost ${name}"`,
        { resource: `node/${name}`, field: "with_objects" },
      );
    }
    const guard = await api.records.find(allocations, name);
    const { held } = tx.context;
    const reserved = [
      ...(await api.records.list(computes, [name])),
      ...(await api.records.list(storages, [name])),
    ];
    throwIfChanging(name, remains, reserved);
    const gone = new Set(
      remains.disks.flatMap(({ disk, fate }) => (fate.kind === "goes" ? [disk.name] : [])),
    );
    const files: Later[] = [];
    for (const { disk, fate } of remains.disks) {
      for (const copy of fate.kind === "goes" ? fate.copies : []) {
        files.push(...(await removeFile(tx, disk.name, { ...copy, replicaOf: disk.name })));
      }
    }
    return await tx.answer(
      DONE,
      // Their disks have fates of their own, and their computes go with the node's.
      ...(await Promise.all(remains.vms.map((vm) => releaseIdentity(api, vm)))),
      ...remains.vms.map((vm) => held.remove(virtualMachines, vm.name)),
      ...remains.disks.map(({ disk, fate }) => writeFate(held, disk, fate)),
      ...remains.images.map((image) => held.put(images, image.name, unregistered(image, gone))),
      { deletes: [...remains.copies, ...reserved].map(({ key }) => key) },
      held.remove(nodes, name),
      unchanged(allocations, [name], guard?.revision ?? 0),
      remove(allocations, name),
      remove(heartbeats, name),
      ...files,
    );
  });
}

async function remainsOf(api: Api, nodeName: string): Promise<Remains> {
  const vms = (await api.records.list(virtualMachines))
    .map(({ value }) => value)
    .filter((vm) => vm.computeNodeName === nodeName);
  const all = (await api.records.list(images)).map(({ value }) => value);
  const disks: Remains["disks"][number][] = [];
  for (const { value: disk } of await api.records.list(blockStorages)) {
    if (disk.nodeName === nodeName) disks.push({ disk, fate: await fateOf(api, disk, all) });
  }
  const goes = disks.filter(({ fate }) => fate.kind === "goes").map(({ disk }) => disk.name);
  return {
    vms,
    disks,
    images: all.filter((image) => goes.some((disk) => isRegistered(image, disk))),
    copies: (await api.records.list(replicas)).filter(
      ({ key }) => replicas.parts(key)[1] === nodeName,
    ),
  };
}

function keysOf(nodeName: string, { vms, disks, images: of, copies }: Remains): string[] {
  return [
    nodes.key(nodeName),
    ...vms.map((vm) => virtualMachines.key(vm.name)),
    ...disks.map(({ disk }) => blockStorages.key(disk.name)),
    ...of.map((image) => images.key(image.name)),
    ...copies.map(({ key }) => key),
  ];
}

/**
 * A record may be elsewhere for as long as a transaction is open that would put it back here: one that makes
 * a disk in the place of a deleted one, or copies a base. Its reservation tells.
 */
function throwIfChanging(
  nodeName: string,
  { vms, disks, copies }: Remains,
  reserved: readonly { readonly key: string; readonly value: { readonly owner: string | null } }[],
): void {
  const known = new Set([
    ...vms.map((vm) => computes.key(nodeName, vm.computeName)),
    ...[...disks.map(({ disk }) => disk), ...copies.map(({ value }) => value)].map(({ volumeId }) =>
      storages.key(nodeName, volumeId),
    ),
  ]);
  const owner = reserved.find(({ key, value }) => value.owner !== null && !known.has(key))?.value
    .owner;
  if (owner == null) return;
  const [kind = "", name = ""] = owner.split("/");
  throw new N0Error(
    "aborted",
    `${kind.replace("_", " ")} "${name}" has something on node "${nodeName}" and is being changed: try again`,
    { resource: owner, retryAfterMs: 1_000 },
  );
}
