import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { put, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge } from "../../../datastore/datastore.ts";
import { ListNodesResponseSchema, type NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { lost } from "../../core/agents.ts";
import type { Api } from "../../core/context.ts";
import { listPage } from "../../core/read/list.ts";
import { watchObjects } from "../../core/read/watch.ts";
import { computes, storages } from "../inventory/collection.ts";
import { SILENCE_MS } from "../inventory/inventory.ts";
import {
  releaseCompute,
  releaseStorage,
  reserveCompute,
  reserveStorage,
  scheduleCompute,
  scheduleStorage,
} from "../inventory/reserve.ts";
import { applyNode } from "./apply.ts";
import { heartbeats, nodes } from "./collection.ts";
import { deleteNode } from "./delete.ts";
import { deleteLostNode } from "./delete-lost.ts";
import { setNodeLost } from "./lost.ts";
import { toWire } from "./node-record.ts";
import { onReadinessChange } from "./readiness.ts";

export function nodeRoutes(api: Api): ServiceImpl<typeof NodeService> {
  return {
    async listNodes(request) {
      const { objects, nextPageToken } = await listPage(api.records, nodes, request);
      const seen = await Promise.all(objects.map((node) => toWire(api, node)));
      return create(ListNodesResponseSchema, { nodes: seen, nextPageToken });
    },
    async getNode({ name }) {
      const stored = await api.records.find(nodes, name);
      if (stored === undefined) throw notFound("node", name);
      return await toWire(api, stored.value);
    },
    applyNode: (request, call) => applyNode(api, call, request),
    deleteNode: async ({ name, withObjects }, call) => {
      await (withObjects ? deleteLostNode(api, call, name) : deleteNode(api, call, name));
      return {};
    },
    setNodeLost: (request, call) => setNodeLost(api, call, request),
    scheduleCompute: (request) => scheduleCompute(api, request),
    scheduleStorage: (request) => scheduleStorage(api, request),
    reserveCompute: (request, call) => reserveCompute(api, call, request),
    reserveStorage: (request, call) => reserveStorage(api, call, request),
    releaseCompute: async (request, call) => {
      await releaseCompute(api, call, request);
      return {};
    },
    releaseStorage: async (request, call) => {
      await releaseStorage(api, call, request);
      return {};
    },
    heartbeatNode: async ({ name }) => {
      await heartbeat(api, name);
      return { intervalMilliseconds: SILENCE_MS / 3 };
    },
    async *watchNodes({ name }, { signal }) {
      const seen = (object: Parameters<typeof toWire>[1]) => toWire(api, object);
      const parts = [heartbeats, computes, storages];
      const touches = (touch: (name: string) => void) => onReadinessChange(api, touch);
      const changes = watchObjects(api, nodes, name, seen, signal, parts, touches);
      for await (const change of changes) {
        if (change.kind === "put") yield { node: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}

/** Not a transaction: one observation, of no object of the user's. */
async function heartbeat(api: Api, name: string): Promise<void> {
  const stored = await api.records.find(nodes, name);
  if (stored === undefined) throw notFound("node", name);
  if (stored.value.lost) throw lost(name);
  try {
    await api.datastore.batch(
      merge(
        put(heartbeats, [name], { atMs: api.clock.nowMs() }),
        unchanged(nodes, [name], stored.revision),
      ),
    );
  } catch (cause) {
    if (!(cause instanceof ConflictError)) throw cause;
    const message = `node "${name}" has just changed: try again`;
    throw new N0Error("aborted", message, { retryAfterMs: 100, cause });
  }
}
