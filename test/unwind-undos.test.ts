import process from "node:process";
import { rpcUnwindCases } from "./saga-cases.ts";
import { newest, REFUSED, UNDO_CASES, undo } from "./undo-cases.ts";

/** One that detaches a nic. `N0_UNWIND_TASKS=all` takes all that an undo takes back. */
const NAMES = ["AttachNic to one that runs"];
const isAll = process.env["N0_UNWIND_TASKS"] === "all";
const cases = UNDO_CASES.filter(({ name }) =>
  isAll ? REFUSED[name] === undefined : NAMES.includes(name),
);

await rpcUnwindCases(
  cases.map((rpcCase) => ({
    ...rpcCase,
    rpc: "RunTasks",
    about: `that undo ${rpcCase.name}`,
    prepare: async (world) => {
      await rpcCase.prepare(world);
      await rpcCase.call(world);
      await world.opened.api.engine.settled();
    },
    call: async (world) => await undo(world, (await newest(world))!, true),
  })),
);
