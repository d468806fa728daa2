import { changesCollection, transactionCollection } from "../src/datastore/datastore-journal.ts";
import { TaskService } from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { PROJECT_HEADER } from "../src/util/project.ts";
import { isTaskName } from "./as-task.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import type { World } from "./world.ts";

const cases = CASES_IN_ORDER.filter(({ rpc }) => isTaskName(rpc) || rpc === "RunTasks");

/** The cases that no undo takes back, and why. */
export const REFUSED: { readonly [rpcCase: string]: string } = {
  "CreateBlockStorage in the place of a soft-deleted one": "in the place of a deleted one",
  "DetachNic the first of two, from one that runs": "in this order, and then they would be",
  PurgeBlockStorage: "was purged, and its data is gone",
  RebootVirtualMachine: "",
  "RunTasks that change a stack": "no undo changes back: stack",
  "RunTasks that delete a stack": "no undo changes back: stack",
  "RunTasks that replace the disk of a virtual machine": "no undo changes back: stack",
  "RunTasks that remove all of it": "was purged, and its data is gone",
  SetAvailableBlockStorage: "",
  "UpdateBlockStorage growing one in use": "no block storage can shrink",
  "UpdateBlockStorage growing one that nobody uses": "no block storage can shrink",
  "UpdateBlockStorage moving one": 'was moved from node "node-1" to "node-2"',
  "UpdateVirtualMachine by a restart": "or set restart (n0cli: --restart)",
};

export const UNDO_CASES = cases.map((one) => ({
  ...one,
  name: one.about === undefined ? one.rpc : `${one.rpc} ${one.about}`,
}));

/** The newest transaction that has changed something. */
export async function newest(world: World): Promise<string | undefined> {
  const all = await world.opened.api.records.list(changesCollection);
  const [last] = all.toSorted((a, b) => b.revision - a.revision);
  return last && changesCollection.parts(last.key)[0];
}

export async function undo(world: World, id: string, discardData = false): Promise<void> {
  const { value } = (await world.opened.api.records.find(transactionCollection, id))!;
  const headers = { [PROJECT_HEADER]: value.project ?? "" };
  await world.client(TaskService).runTasks({ undoOf: id, discardData, parallel: 1 }, { headers });
  await world.opened.api.engine.settled();
}
