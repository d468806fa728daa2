import type { Writes } from "../../../datastore/datastore.ts";
import type { RecordChange } from "../../../datastore/datastore-journal.ts";
import type { Stack } from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import type { StackChange, Task } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { counted } from "../../../util/counted.ts";
import { invalid, kindOf, N0Error, notFound } from "../../../util/errors.ts";
import type { Json } from "../../../util/json.ts";
import { quote } from "../../../util/quote.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { type AnswerOf, fillValue } from "../../../util/template/fill.ts";
import { askerOf } from "../../core/asker.ts";
import type { Call, Tx } from "../../core/context.ts";
import type { Different, Loss } from "../../core/resource/differences.ts";
import { afterCommit } from "../../core/saga/changes.ts";
import { type Part, partsOf } from "../../core/saga/tx.ts";
import { refOf } from "../../core/scope.ts";
import { interfaces } from "../../network/interface/collection.ts";
import { networks } from "../../network/network/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { type CheckedTask, type Known, objectsAhead } from "../tasks/check.ts";
import { changesSomething } from "../tasks/methods.ts";
import { changesOf, inverseOf } from "../undo/undo-tasks.ts";
import { leftOf, type Member, membersOf } from "./check.ts";
import { type StackMember, stackOwners, stacks } from "./collection.ts";
import { throwUnlessLost } from "./loss.ts";
import { removalOf, writesOf } from "./writes.ts";

/** A change of a stack, as a part of a transaction of tasks. */
export interface StackRun {
  /** The keys of the stack and of what it loses. */
  readonly keys: readonly string[];
  /** The tasks after those of the file, which delete what the file makes no more. */
  readonly removals: readonly Task[];
  /** Whether the stack has made the object of this key. */
  hasMade(key: string): boolean;
  /** The records of the stack when all tasks are done. @param parts The commit of these tasks. */
  commit(tx: Tx, parts: readonly Part[], answerOf: AnswerOf): Promise<Writes>;
  /** Before a task replaces an object. @throws N0Error, as `throwUnlessLost`. */
  throwUnlessLost(different: Different, loss: Loss): void;
}

/** An object that a task of the file makes, or finds. */
interface Made {
  readonly ref: Ref;
  readonly task: string;
  readonly isFound: boolean;
}

/**
 * @param tasks Those of the file.
 * @throws N0Error `not_found` for a stack to be deleted that is not there; `failed_precondition` if the stack is at
 *   another version, for an object of another stack, and for data that would be lost without `discardData`;
 *   `invalid_argument` for a task that a stack cannot have.
 */
export async function openStack(
  api: Api,
  known: Known,
  call: Call,
  change: StackChange,
  discardData: boolean,
  tasks: ReadonlyMap<string, CheckedTask>,
): Promise<StackRun> {
  const ref = refOf(call, stacks, change.name);
  const before = (await api.records.find(stacks, ref))?.value;
  throwIfMoved(ref, before, change);
  const members = new Map((await membersOf(api, ref)).map((one) => [one.key, one]));
  const made = await madeBy(api, known, call, ref, members, tasks);
  const lost = [...members.values()].filter(({ key }) => !made.has(key));
  const removals = await removalTasks(api, call, ref, lost, discardData);
  const isMade = (key: string) => members.get(key)?.member.isFound === false;
  return {
    throwUnlessLost: (different, loss) =>
      throwUnlessLost(api, call, { stack: ref, isMade, discardData }, different, loss),
    keys: [stacks.key(ref), ...lost.map(({ key }) => key)],
    removals,
    hasMade: (key) => members.get(key)?.member.isFound === false,
    commit: async (tx, parts, answerOf) => {
      const { held } = tx.context;
      if (change.delete) return await removalOf(api, held, ref);
      const { writes, laters } = partsOf(parts);
      const after = afterCommit(api, writes, laters);
      const left = new Map<string, { readonly ref: Ref; readonly member: StackMember }>();
      for (const [key, { ref: of, task, isFound }] of made) {
        const record = await after(key);
        const as = record === null ? undefined : leftOf(key, Buffer.from(record, "base64"));
        // Its task failed, and that is ignored.
        if (as === undefined) continue;
        left.set(key, { ref: of, member: { task, isFound, left: as } });
      }
      const record = {
        version: change.version + 1,
        changedAtMs: api.clock.nowMs(),
        changedBy: askerOf(call).principal ?? "",
        transactionId: tx.id,
        ...{ file: change.file, parameters: { ...change.parameters } },
        outputs: outputsOf(change, answerOf),
      };
      return await writesOf(api, held, ref, before, record, left);
    },
  };
}

function throwIfMoved(
  ref: Ref,
  before: Stack | undefined,
  { version, ...asked }: StackChange,
): void {
  const is = before?.version ?? 0;
  if (before === undefined && asked.delete) throw notFound("stack", ref.name);
  if (is === version) return;
  const state = is === 0 ? "does not exist" : `is at version ${is}`;
  const message = `stack "${ref.name}" ${state}, and this change is for ${version === 0 ? "a new one" : `version ${version}`}: somebody has changed it since: look at it, and plan again`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref), field: "version" });
}

/** Tasks that say what should be. */
const STATES =
  /^(Create|Fetch|Copy|Generate|Apply|Register|Tag|Set|Update|Boot|Shutdown|Save|Reserve)/;
/** Those of them that make an object. */
const MAKES = /^(Create|Fetch|Copy|Generate|Apply)/;

/** The objects that the tasks make, by the keys of their records. */
async function madeBy(
  api: Api,
  known: Known,
  call: Call,
  stack: Ref,
  members: ReadonlyMap<string, Member>,
  tasks: ReadonlyMap<string, CheckedTask>,
): Promise<ReadonlyMap<string, Made>> {
  const made = new Map<string, Made>();
  for (const task of tasks.values()) {
    const { name, method } = task;
    if (!changesSomething(method)) continue;
    if (!STATES.test(method.name)) {
      const rule = `task ${quote(name)}: ${method.name} does not say what should be, as the tasks of a stack do: what the file makes no more is deleted`;
      throw invalid("tasks", rule);
    }
    if (!MAKES.test(method.name)) continue;
    const [object] = objectsAhead(known, [task]);
    if (object === undefined) {
      throw invalid(
        "tasks",
        `task ${quote(name)}: the name of what a stack makes cannot be a reference`,
      );
    }
    const { kind } = object;
    const ref = refOf(call, kind.collection, object.name);
    const key = kind.collection.key(ref);
    if (made.has(key)) continue;
    const member = members.get(key)?.member;
    await throwIfOfAnother(api, stack, ref, kind.word);
    const isThere = (await api.datastore.get(key)) !== undefined;
    made.set(key, { ref, task: name, isFound: isThere && member?.isFound !== false });
  }
  return made;
}

async function throwIfOfAnother(api: Api, stack: Ref, ref: Ref, word: string): Promise<void> {
  const owner = await api.records.find(stackOwners, ref.scope, ref.kind, ref.name);
  if (owner === undefined || owner.value.stack === stack.name) return;
  const message = `${word} "${ref.name}" belongs to stack "${owner.value.stack}"`;
  throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}

async function removalTasks(
  api: Api,
  call: Call,
  stack: Ref,
  lost: readonly Member[],
  discardData: boolean,
): Promise<readonly Task[]> {
  const records: RecordChange[] = [];
  for (const { ref, key, member } of lost) {
    // What existed before the stack stays.
    if (!member.isFound) records.push(...(await goingOf(api, ref, key)));
  }
  const { tasks, refusals, losses } = await inverseOf(api, call, await changesOf(api, records));
  const resource = formatRef(stack);
  if (refusals.length > 0) {
    const message = `stack "${stack.name}" cannot lose what it has made: ${listed(refusals)}`;
    throw new N0Error("failed_precondition", message, { resource });
  }
  if (losses.length === 0 || discardData) return tasks;
  const message = `stack "${stack.name}": this would lose ${listed(losses)}: to accept that, set discard_data (n0cli: --discard-data)`;
  throw new N0Error("failed_precondition", message, { resource, field: "discard_data" });
}

/** The records of an object that goes. With a network go the interfaces that somebody has reserved in it. */
async function goingOf(api: Api, ref: Ref, key: string): Promise<readonly RecordChange[]> {
  const entry = await api.datastore.get(key);
  if (entry === undefined) return [];
  const going = (of: string, value: Uint8Array) => {
    return { key: of, before: null, after: Buffer.from(value).toString("base64") };
  };
  if (ref.kind !== networks.kind) return [going(key, entry.value)];
  const reserved = await api.records.list(interfaces, [ref]);
  const byHand = reserved.filter(({ value }) => value.owner === null);
  return [
    going(key, entry.value),
    ...byHand.map((one) => going(one.key, interfaces.encode(one.value))),
  ];
}

const SHOWN_MAX = 10;

function listed(texts: readonly string[]): string {
  const shown = texts.slice(0, SHOWN_MAX).join("; ");
  return texts.length > SHOWN_MAX
    ? `${shown}; and ${counted(texts.length - SHOWN_MAX, "other")}`
    : shown;
}

/** Without those that refer to a task whose failure is ignored. */
function outputsOf({ outputs = {} }: StackChange, answerOf: AnswerOf): { [name: string]: Json } {
  const values: { [name: string]: Json } = {};
  for (const [name, value] of Object.entries(outputs)) {
    try {
      values[name] = fillValue({ kind: "any" }, value, answerOf, `outputs.${name}`) as Json;
    } catch (reason) {
      if (kindOf(reason) !== "failed_precondition") throw reason;
    }
  }
  return values;
}
