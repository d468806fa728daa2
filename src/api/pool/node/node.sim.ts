import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { computeSize, diskSize } from "../../../../test/sim/fields.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { computes, storages } from "../inventory/collection.ts";

/** Nodes are unreachable at times. */
export const expectedFindings = ["node.unreachable"];

export const calls: Readonly<Record<string, CallKind>> = {
  ReserveCompute: call(
    3,
    (view) => ({
      nodeName: view.node(),
      computeName: view.choose([], [...namesOf("c"), ...namesOf("vm")]),
      ...computeSize(view),
    }),
    (c, request, options) => c.nodes.reserveCompute(request, options),
  ),
  ReleaseCompute: call(
    4,
    (view) => {
      const reserved = view.byHand(computes).map((parts) => parts.join("/"));
      const chosen = view.choose(reserved, [`${view.node()}/c-0`, `${view.node()}/vm-0`]);
      const [nodeName = "", computeName = ""] = chosen.split("/");
      return { nodeName, computeName };
    },
    (c, request, options) => c.nodes.releaseCompute(request, options),
  ),
  ReserveStorage: call(
    2,
    (view) => ({
      nodeName: view.node(),
      storageName: view.choose([], [...namesOf("s"), ...namesOf("disk")]),
      ...diskSize(view),
    }),
    (c, request, options) => c.nodes.reserveStorage(request, options),
  ),
  ReleaseStorage: call(
    3,
    (view) => {
      const reserved = view.byHand(storages).map((parts) => parts.join("/"));
      const [nodeName = "", storageName = ""] = view
        .choose(reserved, [`${view.node()}/s-0`])
        .split("/");
      return { nodeName, storageName };
    },
    (c, request, options) => c.nodes.releaseStorage(request, options),
  ),
  DeleteNode: call(
    0.3,
    (view) => ({ name: view.node() }),
    (c, request, options) => c.nodes.deleteNode(request, options),
  ),
  ScheduleCompute: read(
    1,
    (view) => ({ computeName: "c", ...computeSize(view) }),
    (c, request, options) => c.nodes.scheduleCompute(request, options),
  ),
};
