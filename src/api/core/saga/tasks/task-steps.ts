import { type Condition, merge, type Put, type Writes } from "../../../../datastore/datastore.ts";
import { guardKeyOf } from "../../../../datastore/references.ts";
import type { Api, SagaContext, SagaRecordStep } from "../../context.ts";

/** A task, for everybody who looks at the transaction. Its request is not kept: it may hold secrets. */
export type ListedTask = {
  readonly name: string;
  /** The method, such as `n0stack.provisioning.v0.VirtualMachineService/CreateVirtualMachine`. */
  readonly rpc: string;
  readonly dependsOn: readonly string[];
  readonly ignoreError: boolean;
};

/** The first step of a transaction of tasks. It does nothing: its row says which tasks there are. */
export const listTasks: SagaRecordStep<{ readonly tasks: readonly ListedTask[] }> = {
  name: "task.list",
  async writeRecords() {},
  async undo() {},
};

/** The start of a task. */
type Begun = {
  readonly name: string;
  /** The method, such as `n0stack.provisioning.v0.VirtualMachineService/CreateVirtualMachine`. */
  readonly rpc: string;
};

export const beginTask: SagaRecordStep<Begun> = {
  name: "task.begin",
  async writeRecords() {},
  async undo() {},
};

/** A record before, null if there was none, and after, in base64. */
type Replaced = {
  readonly key: string;
  readonly before: string | null;
  readonly after: string;
  readonly bytesMax?: number;
};

type Committed = {
  readonly name: string;
  /** In base64; empty for a part of a task that answers nothing. */
  readonly answer: string;
  readonly records: readonly Replaced[];
  readonly conditions: readonly { readonly key: string; readonly revision: number }[];
  /** What the task asks for was there: it has changed nothing. */
  readonly isUnchanged?: boolean;
};

/**
 * The commit of a task: it writes the task's records. The undo writes the former ones, except over a record that
 * somebody else has changed. With an object that the task has made go the traces that later tasks left of it.
 */
export const commitTask: SagaRecordStep<Committed> = {
  name: "task.commit",
  async writeRecords(_context, { records, conditions }, _scope, write) {
    const puts = records.map(({ key, after, bytesMax }) => putOf(key, after, bytesMax));
    await write({ puts, conditions });
  },
  async undo({ api }, { records }) {
    const writes: Writes[] = [];
    for (const { key, before, after, bytesMax } of records) {
      const present = await api.datastore.get(key);
      if (present === undefined || !bytesOf(after).equals(present.value)) continue;
      writes.push({
        ...(before === null
          ? { deletes: [key, ...tracesOf(api, key)] }
          : { puts: [putOf(key, before, bytesMax)] }),
        conditions: [{ key, revision: present.revision }],
      });
    }
    if (writes.length > 0) await api.datastore.batch(merge(...writes));
  },
};

/** The input of `commitTask` for these writes. A trace is history, which no undo takes back. */
export async function replacing(
  { api }: SagaContext,
  puts: readonly Put[],
  conditions: readonly Condition[],
): Promise<Pick<Committed, "records" | "conditions">> {
  const records: Replaced[] = [];
  for (const { key, value, bytesMax } of puts) {
    const after = textOf(value);
    const before = isTrace(api, key) ? after : await presentText(api, key);
    records.push({ key, before, after, ...(bytesMax === undefined ? {} : { bytesMax }) });
  }
  return { records, conditions: conditions.map(({ key, revision }) => ({ key, revision })) };
}

/** What later tasks have left of an object that goes with its undo. Nobody else may have used it. */
function tracesOf({ kinds }: Pick<Api, "kinds">, key: string): string[] {
  const kind = kinds.find(({ collection }) => key.startsWith(collection.prefix));
  if (kind === undefined) return [];
  const ref = kind.collection.refOf(key);
  return [...kind.traces.map((trace) => trace.key(ref)), guardKeyOf(ref)];
}

function isTrace({ kinds }: Pick<Api, "kinds">, key: string): boolean {
  return kinds.some(({ traces }) => traces.some(({ prefix }) => key.startsWith(prefix)));
}

async function presentText({ datastore }: Api, key: string): Promise<string | null> {
  const present = await datastore.get(key);
  return present === undefined ? null : textOf(present.value);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "base64");
}

function putOf(key: string, text: string, bytesMax: number | undefined): Put {
  return { key, value: bytesOf(text), ...(bytesMax === undefined ? {} : { bytesMax }) };
}
