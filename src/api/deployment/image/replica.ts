import { unchanged } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { BlockStorage } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runUnanswered } from "../../core/saga/saga.ts";
import { reserveStorage } from "../../pool/inventory/steps.ts";
import {
  blockStorages,
  overlays,
  type Replica,
  replicas,
} from "../../provisioning/block-storage/collection.ts";
import { newVolumeId, reservationOf } from "../../provisioning/block-storage/make.ts";
import { removeFile } from "../../provisioning/block-storage/removal.ts";
import { recordCopy } from "../../provisioning/block-storage/volume/bases.ts";
import { ensureReplicated } from "../../provisioning/block-storage/volume/volume-steps.ts";
import type { Api, Tx } from "../../provisioning/context.ts";

/**
 * The id of the copy of a base on a node. If there is none, makes one in a transaction of its own, because the
 * copy belongs to the base and stays with it. Other requests for the same copy wait for it. Replaces a copy of
 * an earlier registration, unless block storages rest on it: those have kept the base unchanged.
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
    // A base that the same transaction makes goes if that unwinds, and so does its copy.
    isOfTask: base.transactionId !== "",
  };
  // The client did not ask for this transaction, so the headers of its answer do not name it.
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

/** The id of the copy, if the copy certainly holds the present content of the base. */
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
  // The record is the new one's by now, so this removes none.
  return await removeFile(tx, base, { nodeName, volumeId, baseVolumeId: "", replicaOf: null });
}
