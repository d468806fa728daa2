import { NodeSchema, NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { nodeRef } from "../../../util/ref.ts";
import { defineResource } from "../../core/resource/resource.ts";
import { joinTokens, nodeCertificates, revokedKeys } from "../certificate/collection.ts";
import type { Api } from "../context.ts";
import { allocations, computes, storages } from "../inventory/collection.ts";
import { SILENCE_MS } from "../inventory/inventory.ts";
import { computeCounting, storageCounting } from "../inventory/quota.ts";
import {
  releaseCompute,
  releaseStorage,
  reserveCompute,
  reserveStorage,
  scheduleCompute,
  scheduleStorage,
} from "../inventory/reserve.ts";
import * as steps from "../inventory/steps.ts";
import { applyNode } from "./apply.ts";
import { nodeAudit } from "./audit.ts";
import { heartbeats, nodes } from "./collection.ts";
import { deleteNode } from "./delete.ts";
import { deleteLostNode } from "./delete-lost.ts";
import { heartbeat } from "./heartbeat.ts";
import { setNodeLost } from "./lost.ts";
import { onReadinessChange } from "./readiness.ts";
import { toWire } from "./record.ts";

export const node = defineResource({
  word: "node",
  service: NodeService,
  schema: NodeSchema,
  collection: nodes,
  records: [computes, storages, nodeCertificates],
  counts: [computeCounting, storageCounting],
  traces: [allocations, heartbeats, joinTokens, revokedKeys],
  givesRoom: ["deleteNode", "releaseCompute", "releaseStorage"],
  steps: {
    steps: [steps.reserveCompute, steps.reserveStorage, steps.changeCompute, steps.changeStorage],
  },
  view: toWire,
  shows: [heartbeats, computes, storages],
  touches: (api: Api) => (touch) => onReadinessChange(api, (name) => touch(nodeRef(name))),
  audit: nodeAudit,
  routes: (api: Api) => ({
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
      const revokedKeys = api.certificates.revoked(api.clock.nowMs());
      return { intervalMilliseconds: SILENCE_MS / 3, revokedKeys };
    },
  }),
});
