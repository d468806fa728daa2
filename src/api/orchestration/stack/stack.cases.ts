import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { OFF, requestsTo, sized, WEB } from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { StackService } from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import {
  type RunTasksRequestSchema,
  TaskService,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";

type Request = MessageInitShape<typeof RunTasksRequestSchema>;

const MIB = 1 << 20;
const make = (type: string, action: string, args: JsonObject, ...dependsOn: string[]) => ({
  ...{ name: String(args["name"]), type, action, args, dependsOn },
});
const lan = make("network", "ApplyNetwork", { name: "lan", ipv4_cidr: "10.1.0.0/24" });
const disk = (name: string, mib: number) =>
  make("block_storage", "CreateBlockStorage", { name, request_bytes: MIB, limit_bytes: mib * MIB });
const machine = (nics: number) =>
  make("virtual_machine", "CreateVirtualMachine", {
    name: "made",
    ...{ request_cpu_milli_core: 10, limit_cpu_milli_core: 1000 },
    ...{ request_memory_bytes: 64 * MIB, limit_memory_bytes: 64 * MIB },
    block_storage_names: ["${disk.name}"],
    nics: Array.from({ length: nics }, () => ({ network_name: "${lan.name}" })),
  });

const stackOf = (version: number) => ({ name: "lab", version, file: `# ${version + 1}\n` });
const MADE: Request = {
  tasks: [lan, disk("disk", 1), disk("spare", 1), machine(1)],
  stack: stackOf(0),
  parallel: 1,
};
const SMALL: Request = { ...MADE, tasks: [lan, disk("disk", 1)] };
/** A larger disk, a second nic, and one disk less. */
const CHANGED: Request = {
  tasks: [lan, disk("disk", 2), machine(2)],
  stack: stackOf(1),
  discardData: true,
  parallel: 1,
};
/** A smaller disk, in the place of the larger one. */
const WITH_LARGER: Request = { ...MADE, tasks: [lan, disk("disk", 2), machine(1)] };
const REPLACED: Request = { ...CHANGED, tasks: [lan, disk("disk", 1), machine(1)] };
const DELETED: Request = {
  stack: { name: "lab", version: 1, delete: true },
  discardData: true,
  parallel: 1,
};

const run = (world: World, request: Request) => world.client(TaskService).runTasks(request);

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "RunTasks",
    about: "that change a stack",
    prepare: async (world) => void (await run(world, MADE)),
    call: (world) => run(world, CHANGED),
  },
  {
    rpc: "RunTasks",
    about: "that replace the disk of a virtual machine",
    prepare: async (world) => {
      await run(world, WITH_LARGER);
      await world.virtualMachines.shutdownVirtualMachine({ name: "made", hard: true });
    },
    call: (world) => run(world, REPLACED),
  },
  {
    rpc: "RunTasks",
    about: "that delete a stack",
    prepare: async (world) => void (await run(world, SMALL)),
    call: (world) => run(world, DELETED),
  },
];

const tasks = requestsTo(TaskService);
const LAN = { name: "lan", ipv4Cidr: "10.231.8.0/24" };
const REAL = [
  make("network", "ApplyNetwork", LAN),
  make("block_storage", "CreateBlockStorage", sized("root")),
  make("virtual_machine", "CreateVirtualMachine", {
    ...WEB,
    blockStorageNames: ["${root.name}"],
    nics: [{ networkName: "${lan.name}" }],
  }),
];
const REAL_MADE = tasks("RunTasks", { tasks: REAL, stack: { name: "lab", version: 0 } });
const realGone = (version: number) =>
  tasks("RunTasks", { stack: { name: "lab", version, delete: true }, discardData: true });
const REAL_GONE = realGone(1);
const REAL_WITH_SPARE = tasks("RunTasks", {
  tasks: [...REAL, make("block_storage", "CreateBlockStorage", sized("spare"))],
  stack: { name: "lab", version: 0 },
});
/** Of the network, the disk and the virtual machine, in place; and one disk less. */
const REAL_CHANGED = tasks("RunTasks", {
  tasks: [
    make("network", "ApplyNetwork", { ...LAN, reservedRanges: ["10.231.8.100-10.231.8.103"] }),
    make("block_storage", "CreateBlockStorage", { ...sized("root"), limitBytes: 2 * MIB }),
    make("virtual_machine", "CreateVirtualMachine", {
      ...WEB,
      labels: { a: "b" },
      blockStorageNames: ["${root.name}"],
      nics: [{ networkName: "${lan.name}" }, { networkName: "net" }],
    }),
  ],
  stack: { name: "lab", version: 1 },
  discardData: true,
});
/** With a disk of this size in the place of the former one. */
const realOf = (version: number, mib: number) => {
  const root = { ...sized("root"), limitBytes: mib * MIB };
  const all = [REAL[0]!, make("block_storage", "CreateBlockStorage", root), REAL[2]!];
  return tasks("RunTasks", { tasks: all, stack: { name: "lab", version }, discardData: true });
};

export const scenarios: readonly Scenario[] = [
  {
    name: "RunTasks: that make a stack",
    prepare: [],
    call: REAL_MADE,
    revert: [REAL_GONE],
    cleanUp: [],
  },
  {
    name: "RunTasks: that change a stack",
    prepare: [REAL_WITH_SPARE],
    call: REAL_CHANGED,
    revert: [realGone(2), REAL_WITH_SPARE],
    cleanUp: [REAL_GONE],
  },
  {
    name: "RunTasks: that delete a stack",
    prepare: [REAL_MADE],
    call: REAL_GONE,
    revert: [REAL_MADE],
    cleanUp: [REAL_GONE],
  },
  {
    name: "RunTasks: that replace a disk",
    prepare: [realOf(0, 2), OFF],
    call: realOf(1, 1),
    revert: [realGone(2), realOf(0, 2), OFF],
    cleanUp: [REAL_GONE],
  },
];

export const examples: Examples = {
  CheckStack: { name: "a" },
  ReadStackHistory: { name: "a" },
  ReadStackVersion: { name: "a", version: 1 },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const { stacks } = await clients.client(StackService).listStacks({});
  for (const { name, version } of stacks) {
    const stack = { name, version, delete: true };
    const request = { stack, discardData: true };
    await remove(`stack ${name}`, clients.client(TaskService).runTasks(request));
  }
};
