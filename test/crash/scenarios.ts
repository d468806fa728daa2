import type { JsonObject } from "@bufbuild/protobuf";
import {
  DOMAIN_UNDEFINED,
  GUEST_STARTED,
  NAMESPACE_ADDED,
  NETWORK_RULES_DELETED,
  NODE_RULES_DELETED,
  NODE_SILENT,
  SEED_REMOVED,
  SIDECAR_REMOVED,
  TAP_UNPLUGGED,
} from "./by-hand.ts";
import type { Request } from "./remote.ts";

/** One mutating RPC in one situation. Which steps it has is found out by running it. */
export interface Scenario {
  readonly name: string;
  /** What it needs besides the base. */
  readonly prepare: readonly Request[];
  /** Done anew before each call; what the call does is to take it back. */
  readonly spoil?: Request;
  /** Waited for before each call. */
  readonly ready?: Request;
  readonly call: Request;
  /** Undoes the call, after it has succeeded. */
  readonly revert: readonly Request[];
  /** Removes what `prepare` made. */
  readonly cleanUp: readonly Request[];
  /** The call is refused after it has begun, and undone. */
  readonly isRefused?: boolean;
  readonly needsTwoNodes?: boolean;
}

const MiB = 1 << 20;
const NODE_OF_DISK = "n0core/provisioning/block_storage/request_node_name";
const SSH_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2yWyJYqjKkl8L0b0yGWVb6tRHXGZ1fYkLw1H4i7Q3b me@home";

type Body = JsonObject;
const node = (method: string, body: Body): Request => [`NodeService/${method}`, body];
const network = (method: string, body: Body): Request => [`NetworkService/${method}`, body];
const disk = (method: string, body: Body): Request => [`BlockStorageService/${method}`, body];
const machine = (method: string, body: Body): Request => [`VirtualMachineService/${method}`, body];
const image = (method: string, body: Body): Request => [`ImageService/${method}`, body];
const user = (method: string, body: Body): Request => [`UserService/${method}`, body];

const sized = (name: string, nodeName = "node-1"): Body => ({
  name,
  requestBytes: MiB,
  limitBytes: MiB,
  annotations: { [NODE_OF_DISK]: nodeName },
});
const fetched = (name: string, file: string, nodeName?: string) =>
  disk("FetchBlockStorage", {
    ...sized(name, nodeName),
    limitBytes: 4 * MiB,
    sourceUrl: `file://<base>/images/${file}.qcow2`,
  });
/** Of four MiB of data. */
const fullDisk = (name: string, nodeName?: string) => fetched(name, "full", nodeName);
const newDisk = (name: string) => disk("CreateBlockStorage", sized(name));
const copied = (nodeName: string) =>
  disk("CopyBlockStorage", {
    ...sized("new", nodeName),
    limitBytes: 4 * MiB,
    sourceBlockStorage: "base",
  });
const deleted = (name: string) => disk("DeleteBlockStorage", { name });
const purged = (name: string) => [deleted(name), disk("PurgeBlockStorage", { name })];

const WEB: Body = {
  name: "<web>",
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: 128 * MiB,
  limitMemoryBytes: 128 * MiB,
  blockStorageNames: ["root", "data"],
  nics: [{ networkName: "net" }, { networkName: "net", ipv4Address: "10.231.7.77" }],
  loginUsername: "n0",
  sshAuthorizedKeys: [SSH_KEY],
};
const DISKS = [newDisk("root"), newDisk("data")];
const DISKS_GONE = [...purged("root"), ...purged("data")];
const WEB_RUNS = [...DISKS, machine("CreateVirtualMachine", WEB)];
const WEB_GONE = [machine("DeleteVirtualMachine", { name: "<web>" }), ...DISKS_GONE];
const OFF = machine("ShutdownVirtualMachine", { name: "<web>", hard: true });
const ON = machine("BootVirtualMachine", { name: "<web>" });
const PAUSED = machine("SaveVirtualMachine", { name: "<web>" });

const GUEST_RUNS = [
  fetched("root", "guest"),
  newDisk("data"),
  machine("CreateVirtualMachine", WEB),
  GUEST_STARTED,
];

const GENERATE = {
  imageName: "img",
  tag: "1",
  blockStorageName: "made",
  requestBytes: MiB,
  limitBytes: 8 * MiB,
};
const RESERVED = { nodeName: "node-1", annotations: { who: "me" } };
const COMPUTE = { ...RESERVED, computeName: "mine" };
const STORAGE = { ...RESERVED, storageName: "mine" };
const NIC = { networkName: "net", networkInterfaceName: "mine" };

const OTHER_NODE = node("ApplyNode", {
  name: "other",
  address: "192.0.2.1",
  cpuMilliCores: 1000,
  memoryBytes: MiB,
});

/** What is there in every scenario: a network, and an image on a protected disk. */
export const BASE: readonly Request[] = [
  network("ApplyNetwork", { name: "net", ipv4Cidr: "10.231.7.0/24", ipv6Cidr: "fd00:231:7::/64" }),
  fullDisk("base"),
  image("ApplyImage", { name: "img" }),
  image("RegisterBlockStorage", { imageName: "img", blockStorageName: "base", tags: ["1"] }),
];

const disks: readonly Scenario[] = [
  {
    name: "CreateBlockStorage",
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

const images: readonly Scenario[] = [
  {
    name: "ApplyImage",
    prepare: [],
    call: image("ApplyImage", { name: "new" }),
    revert: [image("DeleteImage", { name: "new" })],
    cleanUp: [],
  },
  {
    name: "DeleteImage",
    prepare: [image("ApplyImage", { name: "new" })],
    call: image("DeleteImage", { name: "new" }),
    revert: [image("ApplyImage", { name: "new" })],
    cleanUp: [image("DeleteImage", { name: "new" })],
  },
  {
    name: "RegisterBlockStorage",
    prepare: [newDisk("data")],
    call: image("RegisterBlockStorage", {
      imageName: "img",
      blockStorageName: "data",
      tags: ["2"],
    }),
    revert: [image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "data" })],
    cleanUp: purged("data"),
  },
  {
    name: "UnregisterBlockStorage",
    prepare: [
      newDisk("data"),
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "data", tags: ["2"] }),
    ],
    call: image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "data" }),
    revert: [
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "data", tags: ["2"] }),
    ],
    cleanUp: [
      image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "data" }),
      ...purged("data"),
    ],
  },
  {
    name: "GenerateBlockStorage",
    prepare: [],
    call: image("GenerateBlockStorage", { ...GENERATE, annotations: { [NODE_OF_DISK]: "node-1" } }),
    revert: purged("made"),
    cleanUp: [],
  },
  {
    // The copy of the base on the other node is kept for the next one, and goes with the base.
    name: "GenerateBlockStorage on another node",
    needsTwoNodes: true,
    prepare: [
      fullDisk("far"),
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "far", tags: ["far"] }),
    ],
    call: image("GenerateBlockStorage", {
      ...GENERATE,
      tag: "far",
      annotations: { [NODE_OF_DISK]: "node-2" },
    }),
    revert: [
      ...purged("made"),
      image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "far" }),
      ...purged("far"),
      fullDisk("far"),
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "far", tags: ["far"] }),
    ],
    cleanUp: [
      image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "far" }),
      ...purged("far"),
    ],
  },
  {
    name: "TagImage",
    prepare: [],
    call: image("TagImage", { name: "img", tag: "2", registeredBlockStorageName: "base" }),
    revert: [image("UntagImage", { name: "img", tag: "2" })],
    cleanUp: [],
  },
  {
    name: "UntagImage",
    prepare: [image("TagImage", { name: "img", tag: "2", registeredBlockStorageName: "base" })],
    call: image("UntagImage", { name: "img", tag: "2" }),
    revert: [image("TagImage", { name: "img", tag: "2", registeredBlockStorageName: "base" })],
    cleanUp: [image("UntagImage", { name: "img", tag: "2" })],
  },
];

/** Each with the RPC that takes it back, whose scenario is the same turned round. */
const pairs: readonly (readonly [
  call: Request,
  inverse: Request,
  prepare?: Request,
  undone?: Request,
])[] = [
  [OTHER_NODE, node("DeleteNode", { name: "other" })],
  [
    node("ReserveCompute", { ...COMPUTE, requestCpuMilliCore: 100, requestMemoryBytes: MiB }),
    node("ReleaseCompute", { nodeName: "node-1", computeName: "mine" }),
  ],
  [
    node("ReserveStorage", { ...STORAGE, requestBytes: MiB }),
    node("ReleaseStorage", { nodeName: "node-1", storageName: "mine" }),
  ],
  [
    network("ApplyNetwork", { name: "lan", ipv4Cidr: "10.231.8.0/24" }),
    network("DeleteNetwork", { name: "lan" }),
  ],
  [
    network("ReserveNetworkInterface", { ...NIC, ipv4Address: "10.231.7.9" }),
    network("ReleaseNetworkInterface", NIC),
  ],
  [user("CreateUser", { name: "me" }), user("DeleteUser", { name: "me" })],
  [
    user("AddSshPublicKey", { userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY }),
    user("DeleteSshPublicKey", { userName: "me", sshPublicKeyName: "k" }),
    user("CreateUser", { name: "me" }),
    user("DeleteUser", { name: "me" }),
  ],
];

const LOST = node("SetNodeLost", { name: "other", lost: true });
const FOUND = node("SetNodeLost", { name: "other", lost: false });
const OTHER_IN_USE = [
  OTHER_NODE,
  node("ReserveCompute", {
    ...COMPUTE,
    nodeName: "other",
    requestCpuMilliCore: 100,
    requestMemoryBytes: 1,
  }),
];
const OTHER_GONE = node("DeleteNode", { name: "other", withObjects: true });

const nodes: readonly Scenario[] = [
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

const turned: readonly Scenario[] = pairs.flatMap(([call, inverse, prepare, undone]) => {
  const first = prepare === undefined ? [] : [prepare];
  const last = undone === undefined ? [] : [undone];
  return [
    { name: nameOf(call), prepare: first, call, revert: [inverse], cleanUp: last },
    {
      name: nameOf(inverse),
      prepare: [...first, call],
      call: inverse,
      revert: [call],
      cleanUp: [inverse, ...last],
    },
  ];
});

const machines: readonly Scenario[] = [
  {
    name: "CreateVirtualMachine",
    prepare: DISKS,
    call: machine("CreateVirtualMachine", WEB),
    revert: [machine("DeleteVirtualMachine", { name: "<web>" })],
    cleanUp: DISKS_GONE,
  },
  {
    name: "DeleteVirtualMachine",
    prepare: WEB_RUNS,
    call: machine("DeleteVirtualMachine", { name: "<web>" }),
    revert: [machine("CreateVirtualMachine", WEB)],
    cleanUp: WEB_GONE,
  },
  {
    name: "UpdateVirtualMachine: labels",
    prepare: WEB_RUNS,
    call: machine("UpdateVirtualMachine", {
      name: "<web>",
      labels: { a: "b" },
      updateMask: "labels",
    }),
    revert: [machine("UpdateVirtualMachine", { name: "<web>", labels: {}, updateMask: "labels" })],
    cleanUp: WEB_GONE,
  },
  {
    name: "UpdateVirtualMachine: hardware",
    prepare: [...WEB_RUNS, OFF, newDisk("more")],
    call: machine("UpdateVirtualMachine", {
      name: "<web>",
      limitCpuMilliCore: 2000,
      limitMemoryBytes: 192 * MiB,
      blockStorageNames: ["root", "more"],
      updateMask: "limitCpuMilliCore,limitMemoryBytes,blockStorageNames",
    }),
    revert: [
      machine("UpdateVirtualMachine", {
        name: "<web>",
        limitCpuMilliCore: 1000,
        limitMemoryBytes: 128 * MiB,
        blockStorageNames: ["root", "data"],
        updateMask: "limitCpuMilliCore,limitMemoryBytes,blockStorageNames",
      }),
    ],
    cleanUp: [...WEB_GONE, ...purged("more")],
  },
  {
    name: "BootVirtualMachine",
    prepare: [...WEB_RUNS, OFF],
    call: ON,
    revert: [OFF],
    cleanUp: WEB_GONE,
  },
  {
    name: "BootVirtualMachine: one that is paused",
    prepare: [...WEB_RUNS, PAUSED],
    call: ON,
    revert: [PAUSED],
    cleanUp: WEB_GONE,
  },
  { name: "SaveVirtualMachine", prepare: WEB_RUNS, call: PAUSED, revert: [ON], cleanUp: WEB_GONE },
  {
    name: "RebootVirtualMachine: hard",
    prepare: WEB_RUNS,
    call: machine("RebootVirtualMachine", { name: "<web>", hard: true }),
    revert: [],
    cleanUp: WEB_GONE,
  },
  {
    name: "RebootVirtualMachine: heard by the guest",
    prepare: GUEST_RUNS,
    call: machine("RebootVirtualMachine", { name: "<web>" }),
    revert: [GUEST_STARTED],
    cleanUp: WEB_GONE,
  },
  {
    // Its disk is empty, so nothing in it hears the button.
    name: "RebootVirtualMachine: unheard by the guest",
    prepare: WEB_RUNS,
    call: machine("RebootVirtualMachine", { name: "<web>" }),
    revert: [],
    cleanUp: WEB_GONE,
  },
  {
    name: "ShutdownVirtualMachine: hard",
    prepare: WEB_RUNS,
    call: OFF,
    revert: [ON],
    cleanUp: WEB_GONE,
  },
  {
    // Its disk is empty, so nothing in it hears the button.
    name: "ShutdownVirtualMachine: refused by the guest",
    isRefused: true,
    prepare: WEB_RUNS,
    call: machine("ShutdownVirtualMachine", { name: "<web>", deadlineSeconds: 1 }),
    revert: [],
    cleanUp: WEB_GONE,
  },
];

const spoilt: readonly (readonly [
  what: string,
  harm: Request,
  there: Request[],
  gone: Request[],
])[] = [
  ["a domain that was undefined", DOMAIN_UNDEFINED, [...WEB_RUNS, OFF], WEB_GONE],
  ["a seed that was removed", SEED_REMOVED, WEB_RUNS, WEB_GONE],
  ["a sidecar that was removed", SIDECAR_REMOVED, [newDisk("data")], purged("data")],
  ["rules of a network that were deleted", NETWORK_RULES_DELETED, WEB_RUNS, WEB_GONE],
  ["rules of the node that were deleted", NODE_RULES_DELETED, WEB_RUNS, WEB_GONE],
  ["a tap off its bridge", TAP_UNPLUGGED, WEB_RUNS, WEB_GONE],
  // The rules of the node are needed by another network then, too.
  ["a namespace of nobody", NAMESPACE_ADDED, WEB_RUNS, WEB_GONE],
];

const repairs: readonly Scenario[] = spoilt.map(([what, spoil, prepare, cleanUp]) => ({
  name: `Repair: ${what}`,
  prepare,
  spoil,
  call: ["VerifyService/Repair", {}],
  revert: [],
  cleanUp,
}));

function nameOf([method]: Request): string {
  return method.split("/")[1] ?? "";
}

export const SCENARIOS: readonly Scenario[] = [
  ...machines,
  ...disks,
  ...images,
  ...nodes,
  ...turned,
  ...repairs,
];

/** The RPC of a scenario. */
export function rpcOf({ call }: Scenario): string {
  return nameOf(call);
}
