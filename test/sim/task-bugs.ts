import { TaskSet } from "../../src/api/core/saga/tasks/task-set.ts";
import { commitTask } from "../../src/api/core/saga/tasks/task-steps.ts";
import { resources } from "../../src/api/resources.ts";
import type { Writes } from "../../src/datastore/datastore.ts";
import type { StepRow } from "../../src/transaction/journal.ts";
import { LiveTransaction } from "../../src/transaction/live.ts";
import type { Later } from "../../src/transaction/step.ts";
import type { Json } from "../../src/util/json.ts";
import { replaced } from "./replaced.ts";
import type { Bug } from "./simulation.ts";

type Written = { readonly key: string; readonly after: string };

/** The object without the mark of its transaction. A PENDING one keeps it. */
function unmarked<T extends Written>(record: T): T {
  const pending = resources.find((one) =>
    record.key.startsWith(one.pending?.of.prefix ?? "?"),
  )?.pending;
  if (pending === undefined) return record;
  const object = pending.of.decode(Buffer.from(record.after, "base64"));
  if (pending.state !== undefined && object.state === pending.state) return record;
  object.transactionId = "";
  return { ...record, after: Buffer.from(pending.of.encode(object)).toString("base64") };
}

/** In transactions of several tasks. */
export const TASK_BUGS: readonly Bug[] = [
  {
    name: "a task commits for everybody",
    favours: "RunTasks",
    plant: () => {
      const { run } = TaskSet.prototype;
      return replaced(TaskSet.prototype, "run", async function (
        this: TaskSet,
        of,
        step,
        input,
        secret,
      ) {
        if (step.name !== commitTask.name) return await run.call(this, of, step, input, secret);
        const json: Json = input;
        const { records, ...rest } = json as { readonly records: readonly Written[] };
        const early = { ...rest, records: records.map(unmarked) };
        return await run.call(this, of, step, early as never, secret);
      } as TaskSet["run"]);
    },
  },
  {
    name: "a task deletes before all tasks commit",
    favours: "RunTasks",
    plant: () => {
      const { add } = TaskSet.prototype;
      return replaced(TaskSet.prototype, "add", function (this: TaskSet, contribution) {
        add.call(this, contribution);
        const { deletes } = contribution;
        void this.context.api.datastore.batch({ deletes }).catch(() => undefined);
      });
    },
  },
  {
    name: "tasks are undone in the order of their start",
    favours: "RunTasks",
    plant: () => {
      const { prototype } = LiveTransaction;
      const right = Object.getOwnPropertyDescriptor(prototype, "rows")!;
      const get = function (this: LiveTransaction) {
        const rows: readonly StepRow[] = right.get!.call(this);
        const isUndone = this.header.state === "unwinding" && this.header.kind === "RunTasks";
        return isUndone ? rows.toReversed() : rows;
      };
      Object.defineProperty(prototype, "rows", { ...right, get });
      const putBack = () => void Object.defineProperty(prototype, "rows", right);
      return { [Symbol.dispose]: putBack };
    },
  },
  {
    name: "a key that a later task takes is not in the journal",
    favours: "RunTasks",
    plant: () =>
      replaced(TaskSet.prototype, "take", function (this: TaskSet, more) {
        this.held.join(more);
      }),
  },
  {
    name: "a mark stays when all tasks have committed",
    favours: "RunTasks",
    plant: () => {
      const { commitParts } = TaskSet.prototype;
      return replaced(TaskSet.prototype, "commitParts", async function (this: TaskSet, api) {
        const [writes, ...laters] = await commitParts.call(this, api);
        return [{ ...(writes as Writes), puts: [] }, ...(laters as Later[])];
      });
    },
  },
];
