import {
  type BlockStorage,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { type Later, later } from "../../../transaction/step.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { findReferrer } from "../../core/resource/referrer.ts";
import type { Api, Tx } from "../context.ts";
import { forgetBlockStorage } from "./purge.ts";
import {
  blockStorageSteps,
  dependants,
  getBlockStorage,
  isBaseElsewhere,
  pending,
  throwUnlessIn,
} from "./record.ts";
import { removalOf } from "./removal.ts";

/** With their project, block storages are removed for good, also those that are not soft-deleted. */
export const withProject = {
  async check(api: Api, ref: Ref) {
    await throwIfKept(api, ref, (await getBlockStorage(api, ref)).value);
  },
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    const disks: Disk[] = [];
    // First mark all of them PENDING, then look for overlays: a transaction that makes one in the meantime finds
    // a changed record.
    for (const ref of refs) {
      const { value } = await getBlockStorage(api, ref);
      await throwIfKept(api, ref, value);
      await blockStorageSteps.replace(tx, ref, value, pending(value, tx.id));
      disks.push({ ref, value });
    }
    const removedBefore = new Set<string>();
    const laters: Later[] = [];
    for (const { ref, value } of await overlaysFirst(api, disks)) {
      laters.push(...(await removalOf(tx, ref, value, removedBefore)));
      laters.push(later(forgetBlockStorage, { ref }));
      removedBefore.add(value.volumeId);
    }
    return laters;
  },
};

interface Disk {
  readonly ref: Ref;
  readonly value: BlockStorage;
}

/**
 * The virtual machine that uses it and the image that has it are in the same project, and go too.
 *
 * @throws N0Error `failed_precondition` for one that somebody keeps by hand, or on which others rest.
 */
async function throwIfKept(api: Api, ref: Ref, disk: BlockStorage): Promise<void> {
  const { state, usedBy } = disk;
  const isUsed = state === State.IN_USE && usedBy !== "";
  const isInImage =
    state === State.PROTECTED && (await findReferrer(api, ref, "image"))?.scope === ref.scope;
  if (!isUsed && !isInImage) throwUnlessIn(ref, disk, [State.AVAILABLE, State.DELETED]);
  const others = await dependants(api, ref, disk);
  if (others.some(({ scope }) => scope !== ref.scope)) throw isBaseElsewhere(ref);
}

/** Each after all that rest on it. @throws N0Error like `throwIfKept`. */
async function overlaysFirst(api: Api, disks: readonly Disk[]): Promise<readonly Disk[]> {
  const resting = new Map<Disk, readonly string[]>();
  for (const disk of disks) resting.set(disk, (await restingOn(api, disk)).map(formatRef));
  const sorted: Disk[] = [];
  let left = new Set(disks);
  while (left.size > 0) {
    const names = new Set([...left].map(({ ref }) => formatRef(ref)));
    const free = [...left].filter((disk) => !resting.get(disk)?.some((one) => names.has(one)));
    // A circle cannot be. Its node would refuse to remove one of them.
    const next = free.length === 0 ? [...left] : free;
    sorted.push(...next);
    left = left.difference(new Set(next));
  }
  return sorted;
}

async function restingOn(api: Api, { ref, value }: Disk): Promise<readonly Ref[]> {
  const others = await dependants(api, ref, value);
  if (others.some(({ scope }) => scope !== ref.scope)) throw isBaseElsewhere(ref);
  return others;
}
