import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { put } from "../../../datastore/collection.ts";
import {
  type ApplyNodeRequest,
  type Node,
  Node_NodeState,
  NodeSchema,
  NodeService,
} from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { invalid } from "../../../util/errors.ts";
import { lost } from "../../core/agents.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { throwUnlessAgents } from "./ask-agent.ts";
import { heartbeats, nodes } from "./collection.ts";
import { toWire } from "./record.ts";

/**
 * Adds a node, or changes one. Agents call it when they start. If the node has become smaller than its
 * reservations, everything there keeps running, and the scheduler places nothing more there. A new address must
 * be the agent's own.
 *
 * @throws N0Error `invalid_argument`; `failed_precondition` if the node is lost, or if its agent is not at the
 * address; `aborted` if the node is busy.
 */
export async function applyNode(api: Api, call: Call, request: ApplyNodeRequest): Promise<Node> {
  if (request.address === "") {
    throw invalid("address", "must be the agent's host, host:port or URL");
  }
  const ref = refOf(call, nodes, request.name);
  const options = { method: NodeService.method.applyNode, keys: [nodes.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    const before = (await api.records.find(nodes, ref))?.value;
    if (before?.lost === true) throw lost(request.name);
    await throwUnlessAgents(api, request.name, before?.address, request.address, tx.signal);
    const { $typeName: _, $unknown: __, ...fields } = request;
    const node = create(NodeSchema, fields);
    const atMs = api.clock.nowMs();
    const seen = await toWire(api, node);
    // In the state after this call, which counts as a sign of life.
    seen.state = Node_NodeState.READY;
    seen.lastHeartbeatAt = timestampFromMs(atMs);
    return await tx.answer(
      seen,
      tx.context.held.put(nodes, ref, node, before),
      put(heartbeats, [node.name], { atMs }),
    );
  });
}
