import { asTask, isTaskName } from "./as-task.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { rpcUnwindCases } from "./saga-cases.ts";

/** Those that do the most by different steps. `N0_UNWIND_TASKS=all` takes all RPCs that can be a task. */
const RPCS = [
  "ApplyNetwork",
  "AttachNic",
  "CreateVirtualMachine",
  "DeleteVirtualMachine",
  "GenerateBlockStorage",
  "PurgeBlockStorage",
  "SetSecurityGroups",
];
const isAll = process.env["N0_UNWIND_TASKS"] === "all";
const cases = CASES_IN_ORDER.filter(({ rpc, about }) =>
  isAll ? isTaskName(rpc) : RPCS.includes(rpc) && about === undefined,
);

/** Another task, which runs when the first one has committed. */
const NEXT = {
  name: "next",
  type: "network",
  action: "ApplyNetwork",
  args: { name: "beside", ipv4_cidr: "10.99.0.0/24" },
  dependsOn: ["request"],
};

await rpcUnwindCases(
  cases.map((rpcCase) => ({
    ...rpcCase,
    rpc: "RunTasks",
    about: [rpcCase.rpc, rpcCase.about, "and a task after it"]
      .filter((part) => part !== undefined)
      .join(", "),
    call: (world) => rpcCase.call(asTask(world, [NEXT])),
  })),
);
