import { TaskService } from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { runTasks as runGraph } from "../src/util/run-graph.ts";
import { diskRequest, type FakeCloud, machineRequest, openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";

const MACHINES = 30;
const MACHINES_OF_FILE = 600;
/** Each with a disk, and all in one network. */
const MACHINES_OF_PLAN = 300;
/** As `n0cli do` has it. */
const PARALLEL = 10;

/** Virtual machines with a disk each and a network: as one transaction, and task by task. */
export const tasks: Measurement = {
  name: "tasks",
  async run({ runs }) {
    await using cloud = await openFakeCloud(10);
    let count = 0;
    const next = (machines: number) => planMachines(`n${count}`, `11.${count++}.0.0/20`, machines);
    const { apart, atomic, file, plan } = await inTurn(runs, {
      apart: async () => await runApart(cloud, next(MACHINES)),
      atomic: async () => await runAtomic(cloud, next(MACHINES)),
      file: async () => await runAtomic(cloud, next(MACHINES_OF_FILE)),
      plan: async () => await makePlan(cloud, next(MACHINES_OF_PLAN)),
    });
    return [
      {
        what: `${MACHINES} VMs with disks and a network as one transaction, against task by task`,
        unit: "ms",
        floor: median(apart),
        ours: median(atomic),
        bar: { atMost: 1.2 },
        note: `on fake drivers, ${PARALLEL} tasks at a time`,
      },
      {
        what: `${MACHINES_OF_FILE} VMs with disks and a network as one transaction`,
        unit: "s",
        ours: median(file) / 1000,
        bar: { atMost: 5 },
        note: `the same; ${(median(file) / MACHINES_OF_FILE).toFixed(1)} ms for each virtual machine, against ${(median(atomic) / MACHINES).toFixed(1)} ms in the transaction of ${MACHINES}`,
      },
      {
        what: `plan of ${2 * MACHINES_OF_PLAN + 1} tasks, of which ${MACHINES_OF_PLAN} are VMs with disks`,
        unit: "s",
        ours: median(plan) / 1000,
        bar: { atMost: 1 },
        note: "the same",
      },
    ];
  },
};

interface Planned {
  readonly name: string;
  readonly type: string;
  readonly action: string;
  readonly dependsOn: string[];
  readonly ignoreError: false;
  /** As one of several in a transaction. */
  readonly args: { readonly [field: string]: string | number | string[] | object[] };
  /** By itself. */
  send(cloud: FakeCloud): Promise<unknown>;
}

function planMachines(prefix: string, ipv4Cidr: string, count: number): Planned[] {
  const network: Planned = {
    name: "lan",
    type: "network",
    action: "ApplyNetwork",
    dependsOn: [],
    ignoreError: false,
    args: { name: prefix, ipv4_cidr: ipv4Cidr },
    send: ({ networks }) => networks.applyNetwork({ name: prefix, ipv4Cidr }),
  };
  return [network, ...Array.from({ length: count }, (_, i) => planMachine(prefix, i)).flat()];
}

function planMachine(network: string, i: number): Planned[] {
  const name = `${network}-${i}`;
  const disk = diskRequest(name);
  const machine = { ...machineRequest(name, name), nics: [{ networkName: network }] };
  return [
    {
      name: `disk-${i}`,
      type: "block_storage",
      action: "CreateBlockStorage",
      dependsOn: [],
      ignoreError: false,
      args: {
        name,
        request_bytes: String(disk.requestBytes),
        limit_bytes: String(disk.limitBytes),
      },
      send: ({ blockStorages }) => blockStorages.createBlockStorage(disk),
    },
    {
      name: `vm-${i}`,
      type: "virtual_machine",
      action: "CreateVirtualMachine",
      dependsOn: ["lan", `disk-${i}`],
      ignoreError: false,
      args: {
        name,
        request_cpu_milli_core: machine.requestCpuMilliCore,
        limit_cpu_milli_core: machine.limitCpuMilliCore,
        request_memory_bytes: String(machine.requestMemoryBytes),
        limit_memory_bytes: String(machine.limitMemoryBytes),
        block_storage_names: [name],
        nics: [{ network_name: network }],
      },
      send: ({ virtualMachines }) => virtualMachines.createVirtualMachine(machine),
    },
  ];
}

async function runAtomic(cloud: FakeCloud, planned: readonly Planned[]): Promise<number> {
  const request = { tasks: planned.map(taskOf), parallel: PARALLEL };
  const service = cloud.client(TaskService);
  return await timed(() => service.runTasks(request));
}

async function makePlan(cloud: FakeCloud, planned: readonly Planned[]): Promise<number> {
  const request = { tasks: planned.map(taskOf) };
  const service = cloud.client(TaskService);
  return await timed(() => service.planTasks(request));
}

function taskOf({ name, type, action, dependsOn, args }: Planned) {
  return { name, type, action, dependsOn, args: args as never };
}

async function runApart(cloud: FakeCloud, planned: readonly Planned[]): Promise<number> {
  const failures: unknown[] = [];
  const ms = await timed(() =>
    runGraph(new Map(planned.map((task) => [task.name, task])), {
      parallel: PARALLEL,
      stop: new AbortController().signal,
      call: async (task) => void (await task.send(cloud)),
      observer: {
        started: () => {},
        stopping: () => {},
        ended: (_, ending) => {
          if (ending.kind === "failed") failures.push(ending.error);
        },
      },
    }),
  );
  if (failures.length > 0) throw failures[0];
  return ms;
}
