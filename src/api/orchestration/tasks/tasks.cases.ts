import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import type { Request } from "../../../../test/crash/remote.ts";
import {
  DISKS_GONE,
  LAST_TASKS,
  NODE_OF_DISK,
  network,
  requestsTo,
  sized,
  WEB,
  WEB_GONE,
} from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { prepareDisk, prepareImage } from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";
import { changesCollection, type RecordChange } from "../../../datastore/datastore-journal.ts";
import {
  type RunTasksRequestSchema,
  TaskService,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";

type WireTask = NonNullable<MessageInitShape<typeof RunTasksRequestSchema>["tasks"]>[number];

const MIB = 1 << 20;
const SIZE = { request_bytes: MIB, limit_bytes: MIB };
const GIB = { request_bytes: 1 << 30, limit_bytes: 1 << 30 };
const CPU = { request_cpu_milli_core: 10, limit_cpu_milli_core: 1000 };
const MEMORY = { request_memory_bytes: 64 * MIB, limit_memory_bytes: 64 * MIB };
const nodeOf = (node: string) => ({ annotations: { [NODE_OF_DISK]: node } });

const nameOf = ({ name, block_storage_name: disk }: JsonObject) => String(name ?? disk);
const call = (type: string, action: string, args: JsonObject, ...dependsOn: string[]) => ({
  name: `${action} ${nameOf(args)}`,
  type,
  action,
  args,
  dependsOn,
});

/** A network, a disk, and a virtual machine of both. */
const MAKE: readonly WireTask[] = [
  call("network", "ApplyNetwork", { name: "lan", ipv4_cidr: "10.1.0.0/24" }),
  call("block_storage", "CreateBlockStorage", { name: "disk", ...SIZE, ...nodeOf("node-1") }),
  call("virtual_machine", "CreateVirtualMachine", {
    name: "made",
    ...CPU,
    ...MEMORY,
    block_storage_names: ['${"CreateBlockStorage disk".name}'],
    nics: [{ network_name: '${"ApplyNetwork lan".name}' }],
  }),
];

const OFF = call("virtual_machine", "DeleteVirtualMachine", { name: "made" });
const AFTER_OFF = "DeleteVirtualMachine made";
const LAN_OFF = call("network", "DeleteNetwork", { name: "lan" }, AFTER_OFF);
const REMOVE: readonly WireTask[] = [
  OFF,
  call("block_storage", "DeleteBlockStorage", { name: "disk" }, AFTER_OFF),
  call("block_storage", "PurgeBlockStorage", { name: "disk" }, "DeleteBlockStorage disk"),
  LAN_OFF,
];

/** A disk from an image, which grows, and a second disk from that one. */
const GENERATE: readonly WireTask[] = [
  call("image", "GenerateBlockStorage", {
    image_name: "debian",
    tag: "12",
    block_storage_name: "first",
    ...GIB,
    ...nodeOf("node-1"),
  }),
  call(
    "block_storage",
    "CopyBlockStorage",
    { name: "second", source_block_storage: "first", ...GIB, ...nodeOf("node-1") },
    "GenerateBlockStorage first",
  ),
];

const run = (world: World, tasks: readonly WireTask[]) =>
  // One after the other, so that each run has the same steps.
  world.client(TaskService).runTasks({ tasks: [...tasks], parallel: 1 });

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "RunTasks",
    about: "that make a network, a disk and a virtual machine",
    prepare: prepareDisk,
    call: (world) => run(world, MAKE),
  },
  {
    rpc: "RunTasks",
    about: "that remove all of it",
    prepare: async (world) => {
      await prepareDisk(world);
      await run(world, MAKE);
    },
    call: (world) => run(world, REMOVE),
  },
  {
    rpc: "RunTasks",
    about: "that make disks from an image",
    nodeCount: 2,
    prepare: prepareImage,
    call: (world) => run(world, GENERATE),
  },
  {
    rpc: "RunTasks",
    about: "that undo the deletes of a virtual machine and its network",
    prepare: async (world) => {
      await prepareDisk(world);
      await run(world, MAKE);
      await run(world, [OFF, LAN_OFF]);
    },
    call: undoTheDeletes,
  },
];

/** Undoes the transaction that has deleted the virtual machine. */
async function undoTheDeletes(world: World): Promise<unknown> {
  const all = await world.opened.api.records.list(changesCollection);
  const isDeleted = ({ key, after }: RecordChange) => key.endsWith("/made") && after === null;
  const found = all.find(({ value }) => value.records.some(isDeleted));
  const undoOf = found === undefined ? "" : changesCollection.parts(found.key)[0];
  return await world.client(TaskService).runTasks({ undoOf, parallel: 1 });
}

const LAN = { name: "lan", ipv4Cidr: "10.231.8.0/24" };
const MADE = requestsTo(TaskService)("RunTasks", {
  tasks: [
    call("network", "ApplyNetwork", LAN),
    call("block_storage", "CreateBlockStorage", sized("root")),
    call("block_storage", "CreateBlockStorage", sized("data")),
    call("virtual_machine", "CreateVirtualMachine", {
      ...WEB,
      blockStorageNames: ['${"CreateBlockStorage root".name}', '${"CreateBlockStorage data".name}'],
      nics: [{ networkName: "net" }, { networkName: '${"ApplyNetwork lan".name}' }],
    }),
  ],
});
const AFTER_WEB = "DeleteVirtualMachine <web>";
const WEB_AND_LAN = [
  call("virtual_machine", "DeleteVirtualMachine", { name: "<web>" }),
  call("network", "DeleteNetwork", { name: "lan" }, AFTER_WEB),
];
const GONE = requestsTo(TaskService)("RunTasks", {
  tasks: [
    ...WEB_AND_LAN,
    ...["root", "data"].flatMap((name) => [
      call("block_storage", "DeleteBlockStorage", { name }, AFTER_WEB),
      call("block_storage", "PurgeBlockStorage", { name }, `DeleteBlockStorage ${name}`),
    ]),
  ],
});
const LAN_GONE = network("DeleteNetwork", { name: "lan" });
const WEB_AND_LAN_GONE = requestsTo(TaskService)("RunTasks", { tasks: WEB_AND_LAN });
/** Other labels, limits of a nic and ranges of a network, and then the virtual machine is shut down. */
const CHANGED = requestsTo(TaskService)("RunTasks", {
  tasks: [
    call("network", "ApplyNetwork", { ...LAN, reservedRanges: ["10.231.8.100-10.231.8.103"] }),
    call("virtual_machine", "UpdateVirtualMachine", {
      name: "<web>",
      labels: { a: "b" },
      updateMask: "labels",
    }),
    call(
      "virtual_machine",
      "SetNicLimits",
      { name: "<web>", networkInterfaceName: "<web>0", ingressBitsPerSecond: "10000000" },
      "UpdateVirtualMachine <web>",
    ),
    call(
      "virtual_machine",
      "ShutdownVirtualMachine",
      { name: "<web>", hard: true },
      "SetNicLimits <web>",
    ),
  ],
});
const UNDONE = requestsTo(TaskService)("RunTasks", { undoOf: LAST_TASKS, discardData: true });

export const scenarios: readonly Scenario[] = [
  {
    name: "RunTasks: that make a network, two disks and a virtual machine",
    isThorough: true,
    prepare: [],
    call: MADE,
    revert: [...WEB_GONE, LAN_GONE],
    cleanUp: [],
  },
  {
    name: "RunTasks: that remove all of it",
    prepare: [MADE],
    call: GONE,
    revert: [MADE],
    cleanUp: [GONE],
  },
  {
    name: "RunTasks: of which the last one is refused",
    isRefused: true,
    prepare: [],
    call: refusedAtTheEnd(),
    revert: [],
    cleanUp: [],
  },
  {
    name: "RunTasks: that undo the making of a network, two disks and a virtual machine",
    prepare: [MADE],
    call: UNDONE,
    revert: [MADE],
    cleanUp: [GONE],
  },
  {
    name: "RunTasks: that undo the removal of a virtual machine and its network",
    prepare: [MADE, WEB_AND_LAN_GONE],
    call: UNDONE,
    revert: [WEB_AND_LAN_GONE],
    cleanUp: DISKS_GONE,
  },
  {
    name: "RunTasks: that undo changes of a virtual machine and its network",
    prepare: [MADE, CHANGED],
    call: UNDONE,
    revert: [CHANGED],
    cleanUp: [GONE],
  },
];

/** A task that needs everything else, and a network that does not exist. */
function refusedAtTheEnd(): Request {
  const [method, body] = MADE;
  const absent = call("network", "DeleteNetwork", { name: "absent" }, "CreateVirtualMachine <web>");
  const { tasks = [] } = body as { tasks?: JsonObject[] };
  return [method, { ...body, tasks: [...tasks, absent] }];
}

const EXAMPLE = {
  tasks: [
    {
      name: "a",
      type: "network",
      action: "ApplyNetwork",
      args: { name: "a", ipv4_cidr: "10.20.0.0/24" },
    },
    {
      name: "b",
      type: "network",
      action: "GetNetwork",
      args: { name: "${a.name}" },
      dependsOn: ["a"],
    },
  ],
};

export const examples: Examples = {
  RunTasks: EXAMPLE,
  PlanTasks: { tasks: [{ name: "a", type: "network", action: "ListNetworks" }] },
  WatchTasks: { transactionId: "0199c2f3a1b4-3f2a9c10-77e1" },
};
