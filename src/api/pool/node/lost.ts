import { clone } from "@bufbuild/protobuf";
import {
  type Node,
  NodeSchema,
  NodeService,
  type SetNodeLostRequest,
} from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { revocation } from "../certificate/certificates.ts";
import type { Api } from "../context.ts";
import { nodes } from "./collection.ts";
import { toWire } from "./record.ts";

/**
 * Declares a node lost, or withdraws that. Transactions that wait for a lost node come to rest: what they had
 * made there, or had to remove there, counts as gone. Its certificate is revoked, so if it is found again, it
 * must join again.
 *
 * @throws N0Error `not_found`; `failed_precondition` for a node that sends heartbeats.
 */
export async function setNodeLost(
  api: Api,
  call: Call,
  { name, lost }: SetNodeLostRequest,
): Promise<Node> {
  const ref = refOf(call, nodes, name);
  const options = { method: NodeService.method.setNodeLost, keys: [nodes.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const stored = await api.records.find(nodes, ref);
    if (stored === undefined) throw notFound("node", name);
    if (lost && api.inventory.get(name).isReady) {
      throw new N0Error(
        "failed_precondition",
        `node "${name}" is READY: only a NOT_READY node can be declared lost; turn it off first`,
        { resource: formatRef(ref) },
      );
    }
    const node = clone(NodeSchema, stored.value);
    node.lost = lost;
    const seen = await toWire(api, node);
    return await tx.answer(
      seen,
      tx.context.held.put(nodes, ref, node, stored.value),
      lost ? await revocation(api.records, name) : {},
    );
  });
}
