import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import type { Api, Tx } from "../context.ts";
import { virtualMachineBeside } from "../virtual-machine/collection.ts";
import { changeVolume, throwUnlessOff } from "../virtual-machine/other-volume.ts";
import { throwIfRegistered, throwUnlessIn } from "./record.ts";
import { lossOf } from "./standing.ts";

/** A block storage whose volume another one replaces: the record stays, the data goes. See docs/adr/0078. */
export type Replaced = Pick<BlockStorage, "usedBy" | "nodeName" | "volumeId">;

/**
 * @throws N0Error `failed_precondition` if an image has it, somebody has marked it by hand, or its virtual machine
 *   is not shut down; `unavailable` if its node does not answer.
 */
export async function throwUnlessReplaceable(
  api: Api,
  ref: Ref,
  disk: BlockStorage,
  signal: AbortSignal,
): Promise<void> {
  await throwIfRegistered(api, ref);
  const { usedBy } = disk;
  throwUnlessIn(ref, disk, usedBy === "" ? [State.AVAILABLE] : [State.IN_USE]);
  if (usedBy === "") return;
  const before = `its block storage "${ref.name}" is replaced`;
  await throwUnlessOff(api, virtualMachineBeside(ref, usedBy), signal, before);
}

/** A stack purges a soft-deleted one of the same name only if its data may go. @throws what the stack throws. */
export function hearOfPurge(key: string, disk: BlockStorage): void {
  const task = currentTask();
  const loss = lossOf(disk);
  const differences = [{ field: "state", present: '"DELETED"', wanted: '"AVAILABLE"' }];
  task?.set.onLoss?.(task.name, { key, differences, loss }, loss);
}

/** @throws N0Error `failed_precondition` if its virtual machine cannot use it on this node. */
export function throwIfElsewhere(ref: Ref, { usedBy, nodeName }: Replaced, target: string): void {
  if (usedBy === "" || nodeName === target) return;
  const message = `block storage "${ref.name}" cannot be replaced on node "${target}": virtual machine "${usedBy}" uses it on "${nodeName}"`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}

/** Gives the new volume to the virtual machine that uses the old one. */
export async function handOver(tx: Tx, ref: Ref, old: Replaced, volumeId: string): Promise<void> {
  if (old.usedBy === "") return;
  const volumes = { before: old.volumeId, after: volumeId };
  await changeVolume(tx, virtualMachineBeside(ref, old.usedBy), ref.name, volumes);
}
