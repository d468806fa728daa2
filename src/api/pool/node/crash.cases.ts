import { NODE_SILENT } from "../../../../test/crash/by-hand.ts";
import { MiB, requestsTo } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import { turned } from "../../../../test/crash/turned.ts";
import { NodeService } from "../../../gen/n0stack/pool/v0/node_pb.ts";

const node = requestsTo(NodeService);

/** A node that is never heard, although its agent answers. */
const OTHER_NODE = node("ApplyNode", {
  name: "other",
  address: "<other>",
  cpuMilliCores: 1000,
  memoryBytes: MiB,
});
const LOST = node("SetNodeLost", { name: "other", lost: true });
const FOUND = node("SetNodeLost", { name: "other", lost: false });
const OTHER_IN_USE = [
  OTHER_NODE,
  node("ReserveCompute", {
    nodeName: "other",
    computeName: "mine",
    requestCpuMilliCore: 100,
    requestMemoryBytes: 1,
  }),
];
const OTHER_GONE = node("DeleteNode", { name: "other", withObjects: true });
const BY_HAND = { nodeName: "node-1", annotations: { who: "me" } };
const MY_COMPUTE = { ...BY_HAND, computeName: "mine" };
const MY_STORAGE = { ...BY_HAND, storageName: "mine" };

export const scenarios: readonly Scenario[] = [
  {
    name: "SetNodeLost: it is",
    prepare: [OTHER_NODE],
    // Each life of the API begins by hearing it.
    ready: NODE_SILENT,
    call: LOST,
    revert: [FOUND],
    cleanUp: [node("DeleteNode", { name: "other" })],
  },
  {
    name: "SetNodeLost: it is not",
    prepare: [OTHER_NODE, NODE_SILENT, LOST],
    call: FOUND,
    revert: [NODE_SILENT, LOST],
    cleanUp: [node("DeleteNode", { name: "other" })],
  },
  {
    name: "DeleteNode: a lost one with what is reserved there",
    prepare: [...OTHER_IN_USE, NODE_SILENT, LOST],
    call: OTHER_GONE,
    revert: [...OTHER_IN_USE, NODE_SILENT, LOST],
    cleanUp: [OTHER_GONE],
  },
  ...turned([
    [OTHER_NODE, node("DeleteNode", { name: "other" })],
    [
      node("ReserveCompute", { ...MY_COMPUTE, requestCpuMilliCore: 100, requestMemoryBytes: MiB }),
      node("ReleaseCompute", { nodeName: "node-1", computeName: "mine" }),
    ],
    [
      node("ReserveStorage", { ...MY_STORAGE, requestBytes: MiB }),
      node("ReleaseStorage", { nodeName: "node-1", storageName: "mine" }),
    ],
  ]),
];
