import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ComputeSchema } from "../../../gen/n0stack/budget/v0/compute_pb.ts";
import { StorageSchema } from "../../../gen/n0stack/budget/v0/storage_pb.ts";
import { type Node, Node_NodeState, NodeSchema } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import type { Api } from "../context.ts";
import {
  type ComputeReservation,
  computes,
  type StorageReservation,
  storages,
} from "../inventory/collection.ts";

/** The node as clients see it: with its state and its reservations. */
export async function toWire(api: Api, node: Node): Promise<Node> {
  const [computesThere, storagesThere] = await Promise.all([
    api.records.list(computes, [node.name]),
    api.records.list(storages, [node.name]),
  ]);
  const seen = withState(api, node);
  for (const { value } of computesThere) seen.reservedComputes[value.name] = computeToWire(value);
  for (const { key, value } of storagesThere) {
    // A name occurs twice while a soft-deleted block storage is being replaced. Both take space.
    const shown = Object.hasOwn(seen.reservedStorages, value.name)
      ? storages.parts(key)[1]!
      : value.name;
    seen.reservedStorages[shown] = storageToWire(value);
  }
  return seen;
}

/** The node with its state, without its reservations. */
export function withState(api: Api, node: Node): Node {
  const seen = clone(NodeSchema, node);
  const view = api.inventory.find(node.name);
  seen.state = view?.isReady === true ? Node_NodeState.READY : Node_NodeState.NOT_READY;
  if (view?.heardAtMs !== undefined) seen.lastHeartbeatAt = timestampFromMs(view.heardAtMs);
  return seen;
}

function computeToWire(reserved: ComputeReservation) {
  return create(ComputeSchema, {
    annotations: { ...reserved.annotations },
    requestCpuMilliCore: reserved.requestCpuMilliCore,
    limitCpuMilliCore: reserved.limitCpuMilliCore,
    requestMemoryBytes: BigInt(reserved.requestMemoryBytes),
    limitMemoryBytes: BigInt(reserved.limitMemoryBytes),
  });
}

function storageToWire(reserved: StorageReservation) {
  return create(StorageSchema, {
    annotations: { ...reserved.annotations },
    requestBytes: BigInt(reserved.requestBytes),
    limitBytes: BigInt(reserved.limitBytes),
  });
}
