import { create, type Message } from "@bufbuild/protobuf";
import { decodeRecord } from "../../../datastore/collection.ts";
import type { RecordChange } from "../../../datastore/datastore-journal.ts";
import { objectKey } from "../../../datastore/key.ts";
import { type Task, TaskSchema } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { type Ref, refBeside } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { whereOf } from "../../core/where.ts";
import { networks } from "../../network/network/collection.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import type { Api } from "../../provisioning/context.ts";
import { type Change, draftsOf, isAsLeft, type Undo } from "./change.ts";
import { readChanges, whoChanged } from "./history.ts";
import { interfaceChanges, isInterfaceAsLeft } from "./interfaces.ts";
import { type AnyUndoing, undoingOf } from "./kinds.ts";
import { networkUndoing } from "./network.ts";
import { type Chain, ordered } from "./order.ts";

/** The most reasons in one error. */
const SHOWN_MAX = 10;

/** The undo of a transaction, as a request of tasks. */
interface UndoTasks {
  readonly tasks: readonly Task[];
  /** The keys of the objects that the transaction has changed. */
  readonly keys: readonly string[];
}

type AnyChange = Change<Message>;

/**
 * The tasks that take back what a committed transaction has changed. Changes nothing. See docs/adr/0074.
 *
 * @throws N0Error `not_found` for a transaction that is not of the project of the call; `failed_precondition` that
 *   names what prevents the undo, or what would be lost without `discardData`.
 */
export async function undoTasks(
  api: Api,
  call: Call,
  id: string,
  discardData: boolean,
): Promise<UndoTasks> {
  const records = await readChanges(api, call, id);
  const changes = await changesOf(api, records);
  const moved = changes.filter(({ undoing, change }) => !isAsLeft(undoing, change));
  const refusals: string[] = [];
  for (const [i, { undoing, change }] of moved.entries()) {
    const { key, name, present, after } = change;
    const what = `${undoing.word} "${name}"`;
    const by = i < SHOWN_MAX ? await whoChanged(api, id, key) : "";
    if (present === undefined) refusals.push(`${what} is gone${by}`);
    else
      refusals.push(`${what} ${after === undefined ? "exists again" : "has changed since"}${by}`);
  }
  const movedOnes = new Set(moved);
  for (const one of changes) {
    if (!movedOnes.has(one)) refusals.push(...movedInterfaces(one.change));
  }
  const inverse = await inverseOf(api, call, changes, movedOnes);
  throwIf(id, [...refusals, ...inverse.refusals], discardData ? [] : inverse.losses);
  if (inverse.tasks.length === 0) throw nothingToUndo(id);
  return { tasks: inverse.tasks, keys: changes.map(({ change }) => change.key) };
}

/** The tasks that take back changes. */
export interface Inverse {
  readonly tasks: readonly Task[];
  /** Why they cannot be taken back, and which data would be lost; for people. */
  readonly refusals: readonly string[];
  readonly losses: readonly string[];
}

/** @param without Changes for which there are no tasks, but which count for the others. */
export async function inverseOf(
  api: Api,
  call: Call,
  changes: readonly Found[],
  without: ReadonlySet<Found> = new Set(),
): Promise<Inverse> {
  const { undo, refusals, losses } = newUndo(call, changes, await othersOf(api, call, changes));
  const chains = changes.map((one, place): Chain => {
    const { undoing, change } = one;
    const drafts = without.has(one) ? [] : draftsOf(undoing, change, undo);
    const refers = (object: Message | undefined) => keysOf(undoing, change.key, object);
    const { before, after } = change;
    const kind = undoing.of.kind;
    const refersTo = { refersBefore: refers(before), refersAfter: refers(after) };
    return { change, kind, drafts, place, ...refersTo };
  });
  const tasks = ordered(chains).map(({ isPrelude: _, dependsOn, ...task }) =>
    create(TaskSchema, { ...task, dependsOn: [...dependsOn] }),
  );
  return { tasks, refusals, losses };
}

function movedInterfaces({ name: network, interfaces }: AnyChange): readonly string[] {
  return interfaces
    .filter((one) => !isInterfaceAsLeft(one))
    .map(({ name }) => `interface "${name}" of network "${network}" has changed since`);
}

/** A change of an object, and how changes of its kind are undone. */
export interface Found {
  readonly undoing: AnyUndoing;
  readonly change: AnyChange;
}

export async function changesOf(
  api: Api,
  records: readonly RecordChange[],
): Promise<readonly Found[]> {
  const parts = await interfaceChanges(api, records);
  const found: Found[] = [];
  for (const { key, before, after } of records) {
    const undoing = undoingOf(key);
    if (undoing === undefined) continue;
    const decode = (text: string | null) =>
      text === null ? undefined : decodeRecord(undoing.of, key, Buffer.from(text, "base64"));
    const ref = undoing.of.refOf(key);
    const change = {
      ...{ key, name: ref.name, before: decode(before), after: decode(after) },
      present: (await api.records.find(undoing.of, ref))?.value,
      interfaces: parts.get(key) ?? [],
    };
    found.push({ undoing, change });
  }
  // Of these networks only the interfaces have changed.
  for (const [key, of] of parts) {
    if (found.some(({ change }) => change.key === key)) continue;
    const ref = networks.refOf(key);
    const present = (await api.records.find(networks, ref))?.value;
    const as = { before: present, after: present, present };
    found.push({ undoing: networkUndoing, change: { key, name: ref.name, ...as, interfaces: of } });
  }
  return found;
}

/** The networks that the objects name and the transaction has not changed, by their keys. */
async function othersOf(
  { records }: Api,
  call: Call,
  changes: readonly Found[],
): Promise<ReadonlyMap<string, Message>> {
  const { project: scope } = whereOf(call.values);
  const others = new Map<string, Message>();
  for (const { undoing, change } of changes) {
    if (change.before === undefined) continue;
    for (const ref of undoing.of.refersTo?.(change.before, { scope }) ?? []) {
      if (ref.kind !== networks.kind) continue;
      const stored = await records.find(networks, ref);
      if (stored !== undefined) others.set(stored.key, stored.value);
    }
  }
  return others;
}

function newUndo(call: Call, all: readonly Found[], others: ReadonlyMap<string, Message>) {
  const { project: scope } = whereOf(call.values);
  const refusals: string[] = [];
  const losses: string[] = [];
  const byKey = new Map(all.map(({ change }) => [change.key, change]));
  const byKind = Map.groupBy(all, ({ undoing }) => undoing.of.kind);
  const undo: Undo = {
    before(of, name) {
      const key = of.key(refBeside({ scope }, of.kind, name));
      // A record of this collection has its type.
      return (byKey.has(key) ? byKey.get(key)?.before : others.get(key)) as
        | ReturnType<typeof of.decode>
        | undefined;
    },
    changesOf: (of) =>
      (byKind.get(of.kind) ?? []).map(
        ({ change }) => change as Change<ReturnType<typeof of.decode>>,
      ),
    refuse: (why) => refusals.push(why),
    lose: (what) => losses.push(what),
  };
  return { undo, refusals, losses };
}

/** The keys of the objects to which an object refers. */
function keysOf({ of }: AnyUndoing, key: string, object: Message | undefined): ReadonlySet<string> {
  if (object === undefined) return new Set();
  const from = of.refOf(key);
  return new Set([...(of.refersTo?.(object, from) ?? []), ...baseOf(from, object)].map(objectKey));
}

/** An overlay goes before its base. */
function baseOf(from: Ref, object: Message): readonly Ref[] {
  const base = "baseBlockStorageName" in object ? String(object.baseBlockStorageName) : "";
  return base === "" ? [] : [refBeside(from, blockStorages.kind, base)];
}

function throwIf(id: string, refusals: readonly string[], losses: readonly string[]): void {
  const list = (texts: readonly string[]) => {
    const shown = texts.slice(0, SHOWN_MAX).join("; ");
    return texts.length > SHOWN_MAX ? `${shown}; and ${texts.length - SHOWN_MAX} more` : shown;
  };
  const resource = `transaction/${id}`;
  if (refusals.length > 0) {
    const message = `transaction ${id} cannot be undone: ${list(refusals)}`;
    throw new N0Error("failed_precondition", message, { resource });
  }
  if (losses.length === 0) return;
  const message = `the undo of transaction ${id} would lose ${list(losses)}: to accept that, set discard_data (n0cli: --discard-data)`;
  throw new N0Error("failed_precondition", message, { resource, field: "discard_data" });
}

function nothingToUndo(id: string): N0Error {
  const message = `transaction ${id} has changed nothing that can be undone`;
  return new N0Error("failed_precondition", message, { resource: `transaction/${id}` });
}
