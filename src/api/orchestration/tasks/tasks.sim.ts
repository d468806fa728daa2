import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type JsonObject,
  toJson,
} from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { Clients } from "../../../../test/clients.ts";
import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import type { View } from "../../../../test/sim/view.ts";
import { StackService } from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import {
  type RunTasksResponse,
  TaskStatus_State as State,
  TaskService,
} from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { IDEMPOTENCY_HEADER } from "../../core/idempotency/request-key.ts";
import { calls as ofImages } from "../../deployment/image/image.sim.ts";
import { calls as ofNetworks } from "../../network/network/network.sim.ts";
import { calls as ofSecurityGroups } from "../../network/security-group/security-group.sim.ts";
import { calls as ofBlockStorages } from "../../provisioning/block-storage/block-storage.sim.ts";
import { calls as ofVirtualMachines } from "../../provisioning/virtual-machine/virtual-machine.sim.ts";
import { resources } from "../../resources.ts";
import { canBeTask } from "./check.ts";

interface PlannedTask {
  readonly name: string;
  readonly type: string;
  readonly action: string;
  readonly args: JsonObject;
  readonly dependsOn: readonly string[];
  readonly ignoreError?: boolean;
}

const KINDS: Readonly<Record<string, CallKind>> = {
  ...ofImages,
  ...ofNetworks,
  ...ofSecurityGroups,
  ...ofBlockStorages,
  ...ofVirtualMachines,
};

/** By RPC that can be a task: its type and its request. */
const ACTIONS = new Map(
  resources.flatMap((resource) =>
    resource.service.methods.flatMap((method) => {
      const isOne = method.methodKind === "unary" && KINDS[method.name] !== undefined;
      if (!isOne || !canBeTask(resource, method as DescMethodUnary)) return [];
      return [[method.name, { type: resource.kind, input: method.input as DescMessage }] as const];
    }),
  ),
);
const WEIGHTS = Object.fromEntries([...ACTIONS.keys()].map((rpc) => [rpc, KINDS[rpc]!.weight]));

function planTask(view: View, name: string, action: string, dependsOn: string[]): PlannedTask {
  return taskOf(name, action, KINDS[action]!.request(view), dependsOn);
}

function taskOf(name: string, action: string, request: object, dependsOn: string[]): PlannedTask {
  const { type, input } = ACTIONS.get(action)!;
  const args = toJson(input, create(input, { ...request }), {
    useProtoFieldName: true,
  }) as JsonObject;
  return { name, type, action, args, dependsOn };
}

/** Whatever single clients ask for too, in any order: mostly one of them fails. */
function planAny(view: View, count: number): PlannedTask[] {
  const { dice } = view;
  return Array.from({ length: count }, (_, i) => {
    const earlier = Array.from({ length: i }, (_, j) => `t${j}`);
    const dependsOn = earlier.filter(() => dice.chance(0.2));
    const task = planTask(view, `t${i}`, dice.weighted(WEIGHTS), dependsOn);
    return { ...task, ignoreError: dice.chance(0.6) };
  });
}

/** A network, disks and a virtual machine of them, and what its owner does with it next. */
function planMachine(view: View): PlannedTask[] {
  const { dice } = view;
  const lan = planTask(view, "lan", "ApplyNetwork", []);
  const disks = Array.from({ length: dice.pick([0, 1, 1, 2]) }, (_, i) =>
    planTask(view, `disk${i}`, "CreateBlockStorage", []),
  );
  const bare = planTask(view, "vm", "CreateVirtualMachine", []);
  const args = {
    ...bare.args,
    block_storage_names: disks.map(({ name }) => `\${${name}.name}`),
    nics: [{ network_name: "${lan.name}" }],
  };
  const vm = { ...bare, args };
  const name = "${vm.name}";
  const also = dice.pick(["", "", "ShutdownVirtualMachine", "AttachNic", "DeleteVirtualMachine"]);
  const next = also === "" ? [] : [planTask(view, "next", also, ["vm"])].map(rename(name));
  return [...(dice.chance(0.5) ? [lan, ...disks] : [...disks, lan]), vm, ...next];
}

function rename(name: string): (task: PlannedTask) => PlannedTask {
  return (task) => ({ ...task, args: { ...task.args, name } });
}

/** A virtual machine that was there before, its disks, and a network. */
function planRemoval(view: View): PlannedTask[] {
  const name = view.machine();
  const disks = view.findMachine(name)?.blockStorageNames ?? [];
  const vm = taskOf("vm", "DeleteVirtualMachine", { name }, []);
  const removals = disks.flatMap((disk, i) => [
    taskOf(`delete${i}`, "DeleteBlockStorage", { name: disk }, ["vm"]),
    taskOf(`purge${i}`, "PurgeBlockStorage", { name: disk }, [`delete${i}`]),
  ]);
  const network = planTask(view, "net", "DeleteNetwork", ["vm"]);
  return [vm, ...removals, { ...network, ignoreError: view.dice.chance(0.8) }];
}

function planTasks(view: View): PlannedTask[] {
  const { dice } = view;
  const tasks = dice.weighted({ machine: 4, removal: 2, any: 3 });
  const planned =
    tasks === "machine"
      ? planMachine(view)
      : tasks === "removal"
        ? planRemoval(view)
        : planAny(view, dice.pick([1, 2, 3, 5]));
  if (!dice.chance(0.2)) return planned;
  // Everything before it is undone.
  const name = "nothing";
  const all = planned.map((task) => task.name);
  return [...planned, taskOf("fails", "DeleteNetwork", { name }, all)];
}

interface Drawn {
  readonly tasks: readonly PlannedTask[];
  readonly parallel: number;
  readonly undoOf?: string;
  readonly discardData?: boolean;
  /** The stack that they are of. Then the API may delete what it has made. */
  readonly stack?: { readonly name: string; readonly delete: boolean };
}

function draw(view: View): Drawn {
  const { dice } = view;
  const parallel = dice.pick([1, 2, 4]);
  const what = dice.weighted({ tasks: 8, undo: 1, stack: 1 });
  if (what === "tasks") return { tasks: planTasks(view), parallel };
  if (what === "undo") {
    // Takes back what others have done.
    return { tasks: [], undoOf: view.done(), discardData: dice.chance(0.8), parallel };
  }
  const stack = { name: dice.pick(["s1", "s2"]), delete: dice.chance(0.15) };
  return { tasks: stack.delete ? [] : planStack(view, stack.name), parallel, stack };
}

/** What a stack should have. Nothing else is asked of a task that has no other verb. */
function planStack(view: View, stack: string): PlannedTask[] {
  if (view.dice.chance(0.7)) return planSameAgain(view, stack);
  const isState = ({ action }: PlannedTask) => /^(Apply|Create|Shutdown)/.test(action);
  return planMachine(view).filter(isState);
}

/** The same names each time, with other sizes: then a stack replaces the disk, also under its virtual machine. */
function planSameAgain(view: View, stack: string): PlannedTask[] {
  const { dice } = view;
  const limitBytes = dice.pick([32n, 64n, 128n]) << 20n;
  const size = { requestBytes: 32n << 20n, limitBytes };
  const disk = taskOf("disk", "CreateBlockStorage", { name: `disk-of-${stack}`, ...size }, []);
  if (dice.chance(0.3)) return [disk];
  const name = `vm-of-${stack}`;
  const sized = { requestCpuMilliCore: 100, requestMemoryBytes: 16n << 20n };
  const vm = { name, ...sized, blockStorageNames: [`disk-of-${stack}`] };
  const off = taskOf("off", "ShutdownVirtualMachine", { name, hard: true }, ["vm"]);
  return [disk, taskOf("vm", "CreateVirtualMachine", vm, ["disk"]), off];
}

/** What the user of a request knew. When it is sent again, it is the same. */
const versions = new WeakMap<Drawn, number>();

async function send(c: Clients, request: Drawn, options: CallOptions) {
  const { tasks, stack, ...drawn } = request;
  const plain = tasks.map((task) => ({ ...task, dependsOn: [...task.dependsOn] }));
  const version = versions.get(request) ?? (stack ? await versionOf(c, stack.name, options) : 0);
  versions.set(request, version);
  const change = stack === undefined ? {} : { stack: { ...stack, version }, discardData: true };
  return await c.client(TaskService).runTasks({ ...drawn, tasks: plain, ...change }, options);
}

/** What its user knows. Another one may change it before the request comes. */
async function versionOf(c: Clients, name: string, options: CallOptions): Promise<number> {
  const headers = new Headers(options.headers);
  headers.delete(IDEMPOTENCY_HEADER);
  const { stacks } = await c.client(StackService).listStacks({ namePrefix: name }, { headers });
  return stacks[0]?.version ?? 0;
}

export const calls: Readonly<Record<string, CallKind>> = {
  RunTasks: {
    ...call(6, draw, send),
    wrongIn: ({ transactionId, tasks }: RunTasksResponse) =>
      tasks
        .filter(({ state }) => state !== State.DONE && state !== State.IGNORED)
        .map(
          ({ name, state }) => `${transactionId} is done, and its task ${name} is not: ${state}`,
        ),
  },
};
