import { NODE_SILENT } from "../by-hand.ts";
import { node, OTHER_NODE } from "../requests.ts";
import type { Scenario } from "../scenario.ts";

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

export const nodes: readonly Scenario[] = [
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
];
