import {
  deleted,
  disk,
  fullDisk,
  MiB,
  NODE_OF_DISK,
  newDisk,
  purged,
  sized,
  WEB_GONE,
  WEB_RUNS,
} from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";

const copied = (nodeName: string) =>
  disk("CopyBlockStorage", {
    ...sized("new", nodeName),
    limitBytes: 4 * MiB,
    sourceBlockStorage: "base",
  });

export const scenarios: readonly Scenario[] = [
  {
    name: "CreateBlockStorage",
    isThorough: true,
    prepare: [],
    call: newDisk("new"),
    revert: purged("new"),
    cleanUp: [],
  },
  {
    name: "CreateBlockStorage in the place of a deleted one",
    prepare: [newDisk("new"), deleted("new")],
    call: newDisk("new"),
    revert: [deleted("new")],
    cleanUp: [disk("PurgeBlockStorage", { name: "new" })],
  },
  {
    name: "FetchBlockStorage",
    isThorough: true,
    prepare: [],
    call: fullDisk("new"),
    revert: purged("new"),
    cleanUp: [],
  },
  {
    name: "CopyBlockStorage",
    prepare: [],
    call: copied("node-1"),
    revert: purged("new"),
    cleanUp: [],
  },
  {
    name: "CopyBlockStorage to another node",
    isThorough: true,
    needsTwoNodes: true,
    prepare: [],
    call: copied("node-2"),
    revert: purged("new"),
    cleanUp: [],
  },
  {
    name: "UpdateBlockStorage: labels",
    prepare: [newDisk("data")],
    call: disk("UpdateBlockStorage", { name: "data", labels: { a: "b" }, updateMask: "labels" }),
    revert: [disk("UpdateBlockStorage", { name: "data", labels: {}, updateMask: "labels" })],
    cleanUp: purged("data"),
  },
  {
    name: "UpdateBlockStorage: size",
    prepare: [newDisk("data")],
    call: disk("UpdateBlockStorage", {
      name: "data",
      limitBytes: 2 * MiB,
      updateMask: "limitBytes",
    }),
    revert: [...purged("data"), newDisk("data")],
    cleanUp: purged("data"),
  },
  {
    name: "UpdateBlockStorage: size of one in use",
    prepare: WEB_RUNS,
    call: disk("UpdateBlockStorage", {
      name: "data",
      limitBytes: 2 * MiB,
      updateMask: "limitBytes",
    }),
    revert: [...WEB_GONE, ...WEB_RUNS],
    cleanUp: WEB_GONE,
  },
  {
    name: "UpdateBlockStorage: another node",
    needsTwoNodes: true,
    prepare: [newDisk("data")],
    call: disk("UpdateBlockStorage", {
      name: "data",
      annotations: { [NODE_OF_DISK]: "node-2" },
      updateMask: "annotations",
    }),
    revert: [
      disk("UpdateBlockStorage", {
        name: "data",
        annotations: { [NODE_OF_DISK]: "node-1" },
        updateMask: "annotations",
      }),
    ],
    cleanUp: purged("data"),
  },
  {
    name: "DeleteBlockStorage",
    prepare: [newDisk("data")],
    call: deleted("data"),
    revert: [disk("UndeleteBlockStorage", { name: "data" })],
    cleanUp: purged("data"),
  },
  {
    name: "UndeleteBlockStorage",
    prepare: [newDisk("data"), deleted("data")],
    call: disk("UndeleteBlockStorage", { name: "data" }),
    revert: [deleted("data")],
    cleanUp: [disk("PurgeBlockStorage", { name: "data" })],
  },
  {
    name: "PurgeBlockStorage",
    isThorough: true,
    prepare: [newDisk("data"), deleted("data")],
    call: disk("PurgeBlockStorage", { name: "data" }),
    revert: [newDisk("data"), deleted("data")],
    cleanUp: [disk("PurgeBlockStorage", { name: "data" })],
  },
  ...(["SetInuseBlockStorage", "SetProtectedBlockStorage"] as const).map((method) => ({
    name: method,
    prepare: [newDisk("data")],
    call: disk(method, { name: "data" }),
    revert: [disk("SetAvailableBlockStorage", { name: "data" })],
    cleanUp: purged("data"),
  })),
  {
    name: "SetAvailableBlockStorage",
    prepare: [newDisk("data"), disk("SetInuseBlockStorage", { name: "data" })],
    call: disk("SetAvailableBlockStorage", { name: "data" }),
    revert: [disk("SetInuseBlockStorage", { name: "data" })],
    cleanUp: [disk("SetAvailableBlockStorage", { name: "data" }), ...purged("data")],
  },
];
