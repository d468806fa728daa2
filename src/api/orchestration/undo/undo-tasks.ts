import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
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
import { blockStorageUndoing } from "./block-storage.ts";
import { type Change, draftsOf, isAsLeft, type Undo, type Undoing } from "./change.ts";
import { readChanges, whoChanged } from "./history.ts";
import { imageUndoing } from "./image.ts";
import { interfaceChanges, isInterfaceAsLeft } from "./interfaces.ts";
import { networkUndoing } from "./network.ts";
import { type Chain, ordered } from "./order.ts";
import { securityGroupUndoing } from "./security-group.ts";
import { virtualMachineUndoing } from "./virtual-machine.ts";

/** The most reasons in one error. */
const SHOWN_MAX = 10;

/** The undo of a transaction, as a request of tasks. */
interface UndoTasks {
  readonly tasks: readonly Task[];
  /** The keys of the objects that the transaction has changed. */
  readonly keys: readonly string[];
}

type AnyUndoing = Undoing<DescMessage>;
type AnyChange = Change<Message>;

const UNDOINGS: readonly AnyUndoing[] = [
  virtualMachineUndoing,
  imageUndoing,
  blockStorageUndoing,
  securityGroupUndoing,
  networkUndoing,
];

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
  const { undo, refusals, losses } = newUndo(call, changes, await othersOf(api, call, changes));
  const moved = changes.filter(({ undoing, change }) => !isAsLeft(undoing, change));
  for (const [i, { undoing, change }] of moved.entries()) {
    const { key, name, present, after } = change;
    const what = `${undoing.word} "${name}"`;
    const by = i < SHOWN_MAX ? await whoChanged(api, id, key) : "";
    if (present === undefined) undo.refuse(`${what} is gone${by}`);
    else undo.refuse(`${what} ${after === undefined ? "exists again" : "has changed since"}${by}`);
  }
  const movedOnes = new Set(moved.map(({ change }) => change));
  for (const { change } of changes) {
    if (!movedOnes.has(change)) refuseMovedInterfaces(change, undo);
  }
  const chains = changes.map(({ undoing, change }, place): Chain => {
    const drafts = movedOnes.has(change) ? [] : draftsOf(undoing, change, undo);
    const refers = (object: Message | undefined) => keysOf(undoing, change.key, object);
    const { before, after } = change;
    const kind = undoing.of.kind;
    const refersTo = { refersBefore: refers(before), refersAfter: refers(after) };
    return { change, kind, drafts, place, ...refersTo };
  });
  throwIf(id, refusals, discardData ? [] : losses);
  const tasks = ordered(chains).map(({ isPrelude: _, dependsOn, ...task }) =>
    create(TaskSchema, { ...task, dependsOn: [...dependsOn] }),
  );
  if (tasks.length === 0) throw nothingToUndo(id);
  return { tasks, keys: changes.map(({ change }) => change.key) };
}

function refuseMovedInterfaces({ name: network, interfaces }: AnyChange, undo: Undo): void {
  for (const one of interfaces) {
    if (isInterfaceAsLeft(one)) continue;
    undo.refuse(`interface "${one.name}" of network "${network}" has changed since`);
  }
}

interface Found {
  readonly undoing: AnyUndoing;
  readonly change: AnyChange;
}

async function changesOf(api: Api, records: readonly RecordChange[]): Promise<readonly Found[]> {
  const parts = await interfaceChanges(api, records);
  const found: Found[] = [];
  for (const { key, before, after } of records) {
    const undoing = UNDOINGS.find(({ of }) => key.startsWith(of.prefix));
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
