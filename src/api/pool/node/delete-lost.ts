import { remove, unchanged } from "../../../datastore/collection.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, parseRef, type Ref } from "../../../util/ref.ts";
import type { Call, LostObjects } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { allocations, computes, storages } from "../inventory/collection.ts";
import { heartbeats, nodes } from "./collection.ts";

/**
 * Deletes a lost node and, in the same batch, everything that its resources declare lost with it.
 *
 * @throws N0Error `not_found`; `failed_precondition` for a node that is not lost, or while one of its objects
 * is PENDING; `aborted` if one of them is busy.
 */
export async function deleteLostNode(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, nodes, name);
  let lost: readonly LostObjects[] = [];
  const keys = async () => {
    lost = await lostOn(api, name);
    return keysOf(ref, lost);
  };
  await runSaga(api, call, { method: NodeService.method.deleteNode, keys }, async (tx) => {
    const node = (await api.records.find(nodes, ref))?.value;
    if (node === undefined) throw notFound("node", name);
    if (!node.lost) {
      throw new N0Error(
        "failed_precondition",
        `node "${name}" is not lost: delete the objects on it first, or if it will never come back, run "n0cli node lost ${name}"`,
        { resource: formatRef(ref), field: "with_objects" },
      );
    }
    const guard = await api.records.find(allocations, name);
    const { held } = tx.context;
    const reserved = [
      ...(await api.records.list(computes, [name])),
      ...(await api.records.list(storages, [name])),
    ];
    throwIfChanging(api, name, lost, reserved);
    const forgotten = [];
    for (const objects of lost) forgotten.push(await objects.forget(tx));
    return await tx.answer(
      DONE,
      ...forgotten.map(({ writes }) => writes),
      { deletes: reserved.map(({ key }) => key) },
      held.remove(nodes, ref, node),
      unchanged(allocations, [name], guard?.revision ?? 0),
      remove(allocations, name),
      remove(heartbeats, name),
      ...forgotten.flatMap(({ files = [] }) => files),
    );
  });
}

async function lostOn(api: Api, nodeName: string): Promise<readonly LostObjects[]> {
  const lost: LostObjects[] = [];
  for (const kind of api.kinds) {
    const objects = await kind.onNodeLost?.(api, nodeName);
    if (objects !== undefined) lost.push(objects);
  }
  return lost;
}

function keysOf(ref: Ref, lost: readonly LostObjects[]): string[] {
  return [nodes.key(ref), ...lost.flatMap(({ keys }) => keys)];
}

/**
 * A record may name another node while an open transaction may still put it back here: one that makes a block
 * storage in place of a deleted one, or copies a base. Its reservation shows that.
 */
function throwIfChanging(
  { kinds }: Api,
  nodeName: string,
  lost: readonly LostObjects[],
  reserved: readonly { readonly key: string; readonly value: { readonly owner: string | null } }[],
): void {
  const known = new Set(lost.flatMap((objects) => objects.reserved));
  const [owner] = reserved
    .filter(({ key }) => !known.has(key))
    .flatMap(({ value }) => parseRef(value.owner ?? "") ?? []);
  if (owner === undefined) return;
  const word = kinds.find(({ kind }) => kind === owner.kind)?.word ?? owner.kind;
  throw new N0Error(
    "aborted",
    `${word} "${owner.name}" has something on node "${nodeName}" and is being changed: try again`,
    { resource: formatRef(owner), retryAfterMs: 1_000 },
  );
}
