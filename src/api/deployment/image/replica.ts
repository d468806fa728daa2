import { unchanged } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runUnanswered } from "../../core/saga/saga.ts";
import { reserveStorage } from "../../pool/inventory/steps.ts";
import { recordCopy } from "../../provisioning/block-storage/bases.ts";
import {
  blockStorages,
  overlays,
  type Replica,
  replicas,
} from "../../provisioning/block-storage/collection.ts";
import { newVolumeId, reservationOf } from "../../provisioning/block-storage/make.ts";
import { removeFile } from "../../provisioning/block-storage/removal.ts";
import { ensureReplicated } from "../../provisioning/block-storage/volume/volume-steps.ts";
import type { Api, Tx } from "../../provisioning/context.ts";

/**
 * The id of the copy of a base on a node, made if it is not there: a transaction of its own, since the
 * copy belongs to the base and stays with it. Others that want the same copy wait for it. One of an earlier
 * registration is replaced, unless disks rest on it: those have kept the base from being written to.
 */
export async function ensureReplica(
  api: Api,
  call: Call,
  outer: Tx,
  source: Stored<BlockStorage>,
  nodeName: string,
  registration: string,
): Promise<string> {
  const base = source.value;
  const ref = blockStorages.refOf(source.key);
  const present = await api.records.find(replicas, ref, nodeName);
  if (present?.value.registration === registration) return present.value.volumeId;
  const options = {
    kind: "CopyBase",
    keys: [replicas.key(ref, nodeName)],
    waits: true,
    within: outer,
  };
  // Its id is not what the client asked for, so it is not the one that the answer names.
  const inner = { ...call, signal: outer.signal, responseHeader: new Headers() };
  return await runUnanswered(api, inner, options, async (tx) => {
    const found = await api.records.find(replicas, ref, nodeName);
    const usable = found === undefined ? undefined : await findUsable(api, found, registration);
    if (found !== undefined && usable !== undefined) {
      const same = recordCopy(ref, nodeName, { volumeId: usable, registration }, found);
      await tx.commit(same);
      return usable;
    }
    const volumeId = newVolumeId(api, ref);
    await tx.run(reserveStorage, { nodeName, id: volumeId, storage: reservationOf(ref, base) });
    await tx.run(ensureReplicated, {
      nodeName,
      volumeId,
      ref,
      sizeBytes: base.limitBytes.toString(),
      sourceId: base.volumeId,
      sourceNodeName: base.nodeName,
    });
    await tx.commit(
      merge(
        recordCopy(ref, nodeName, { volumeId, registration }, found),
        unchanged(blockStorages, [ref], source.revision),
      ),
      ...(found === undefined ? [] : await removeOutdated(tx, ref, nodeName, found.value.volumeId)),
    );
    return volumeId;
  });
}

/** Its id, if it is sure to hold what the base holds now. */
async function findUsable(
  api: Api,
  { value: { volumeId, registration } }: Stored<Replica>,
  wanted: string,
): Promise<string | undefined> {
  if (registration === wanted) return volumeId;
  return (await api.records.list(overlays, [volumeId])).length > 0 ? volumeId : undefined;
}

async function removeOutdated(
  tx: Tx,
  base: Ref,
  nodeName: string,
  volumeId: string,
): Promise<Later[]> {
  // The record is the new one's by now, so there is none to be forgotten.
  return await removeFile(tx, base, { nodeName, volumeId, baseVolumeId: "", replicaOf: null });
}
