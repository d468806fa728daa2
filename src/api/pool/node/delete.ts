import { remove, unchanged } from "../../../datastore/collection.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { counted } from "../../../util/counted.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import { UNLESS_GONE } from "../../core/advice.ts";
import { DISABLE_NODE_DELETION_LOCK } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { DONE } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { revocation } from "../certificate/certificates.ts";
import type { Api } from "../context.ts";
import { allocations, computes, storages } from "../inventory/collection.ts";
import { heartbeats, nodes } from "./collection.ts";

/** @throws N0Error `not_found`; `failed_precondition` while it has reservations; `aborted`. */
export async function deleteNode(api: Api, call: Call, name: string): Promise<void> {
  const ref = refOf(call, nodes, name);
  const options = { method: NodeService.method.deleteNode, keys: [nodes.key(ref)] };
  await runSaga(api, call, options, async (tx) => {
    const node = (await api.records.find(nodes, ref))?.value;
    if (node === undefined) throw notFound("node", name);
    const guard = await api.records.find(allocations, name);
    const reserved = [
      ...(await api.records.list(computes, [name])),
      ...(await api.records.list(storages, [name])),
    ];
    const inUse = reserved.filter(
      ({ value }) => value.annotations[DISABLE_NODE_DELETION_LOCK] === undefined,
    );
    if (inUse.length > 0) {
      const some = inUse.slice(0, 5).map(({ value }) => value.owner ?? `"${value.name}"`);
      throw new N0Error(
        "failed_precondition",
        `node "${name}" has ${counted(inUse.length, "reservation")}, such as ${some.join(", ")}: delete what uses them first${UNLESS_GONE}`,
        { resource: formatRef(ref) },
      );
    }
    return await tx.answer(
      DONE,
      tx.context.held.remove(nodes, ref, node),
      { deletes: reserved.map(({ key }) => key) },
      unchanged(allocations, [name], guard?.revision ?? 0),
      remove(allocations, name),
      remove(heartbeats, name),
      await revocation(api.records, name),
    );
  });
}
