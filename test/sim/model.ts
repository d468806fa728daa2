import { isDeepStrictEqual } from "node:util";
import { beginTask, commitTask } from "../../src/api/core/saga/tasks/task-steps.ts";
import { passwords } from "../../src/api/iam/password/collection.ts";
import { tokens } from "../../src/api/iam/token/collection.ts";
import { interfaces } from "../../src/api/network/interface/collection.ts";
import { networks } from "../../src/api/network/network/collection.ts";
import { computes, storages } from "../../src/api/pool/inventory/collection.ts";
import { blockStorages } from "../../src/api/provisioning/block-storage/collection.ts";
import { settled } from "../../src/api/provisioning/block-storage/record.ts";
import { virtualMachines } from "../../src/api/provisioning/virtual-machine/collection.ts";
import { settleRestarted } from "../../src/api/provisioning/virtual-machine/update/restart-steps.ts";
import { resources } from "../../src/api/resources.ts";
import type { Objects } from "../../src/datastore/collection.ts";
import type { Entry } from "../../src/datastore/datastore.ts";
import { stepCollection, transactionCollection } from "../../src/datastore/datastore-journal.ts";
import { objectKey, refOfKey } from "../../src/datastore/key.ts";
import type { Network } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as MachineState } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { StepRow, TransactionHeader } from "../../src/transaction/journal.ts";
import { homeOf, levelOf, nameOnNode, type Ref, refOnNode } from "../../src/util/ref.ts";
import type { Batch } from "./datastore.ts";
import { choicesInReservedRanges } from "./reserved-ranges.ts";

/** The users' objects, whose records are compared as they are. */
export const OBJECTS = resources.map(({ collection }) => collection);

/** `shut_off` by a request, `gone_off` by the guest itself; `any` if both happened at the same time. */
export type Power = "running" | "paused" | "shut_off" | "gone_off" | "any";

/** An object that must be there. */
export interface Found<T> {
  readonly ref: Ref;
  readonly object: T;
}

export interface KnownTransaction {
  readonly id: string;
  readonly kind: string;
  /** Those of a transaction of tasks become more. */
  guards: readonly string[];
  /** The call that began it, and which delivery of that call. */
  readonly call: string | undefined;
  readonly copy: number;
  state: TransactionHeader["state"];
  isCommitted: boolean;
  error: string | undefined;
  readonly rows: Map<number, StepRow>;
  /** A guest changed its state by itself while it was open. */
  isDisturbed: boolean;
  isCancelled: boolean;
}

/**
 * The expected state, from the commits alone: the journal as it becomes durable. The writes of a transaction
 * from before its commit count from the commit on.
 */
export class Model {
  /** By key: the bytes of the users' objects. */
  readonly expected = new Map<string, Uint8Array>();
  /** The keys of reservations that users made by hand. */
  readonly byHand = new Set<string>();
  /** By the name on its node of the virtual machine. */
  readonly power = new Map<string, Power>();
  readonly transactions = new Map<string, KnownTransaction>();
  readonly violations: string[] = [];
  /** By kind: how many were committed, how many were unwound, and how often one needed an operator. */
  readonly committed = new Map<string, number>();
  readonly unwound = new Map<string, number>();
  /** By project: how many were committed. */
  readonly committedIn = new Map<string, number>();
  /** By kind: how often an object was committed that uses one of another project. */
  readonly shared = new Map<string, number>();
  readonly neededOperator = new Map<string, number>();
  readonly #versions = new Map<string, number>();

  find<T>(of: Objects<T>, ref: Ref): T | undefined {
    const bytes = this.expected.get(of.key(ref));
    return bytes === undefined ? undefined : of.decode(bytes);
  }

  /** Those that a call in this project sees. */
  list<T>(of: Objects<T>, project: string): T[] {
    const scope = scopeIn(project, of.kind);
    return this.objects(of).flatMap(({ ref, object }) => (ref.scope === scope ? [object] : []));
  }

  objects<T>(of: Objects<T>): Found<T>[] {
    const found: Found<T>[] = [];
    for (const [key, bytes] of this.expected) {
      if (key.startsWith(of.prefix)) found.push({ ref: of.refOf(key), object: of.decode(bytes) });
    }
    return found;
  }

  /** The objects that are there before the first transaction. */
  expectPresent(entries: readonly Entry[]): void {
    for (const { key, value } of entries) if (isObject(key)) this.expected.set(key, value);
  }

  open(): KnownTransaction[] {
    return [...this.transactions.values()].filter(
      ({ state }) => state !== "done" && state !== "unwound",
    );
  }

  /** The ids of the transactions that need an operator. */
  stuck(): string[] {
    return this.open().flatMap(({ id, state }) => (state === "needs_operator" ? [id] : []));
  }

  /** Undefined while a transaction works on the key; otherwise a number that changes with each transaction. */
  versionOf(key: string): number | undefined {
    if (this.open().some(({ guards }) => guards.includes(key))) return undefined;
    return this.#versions.get(key) ?? 0;
  }

  onBatch({ writes, delivery }: Batch): void {
    const networkOf = (ref: Ref) => this.#networkAt(ref);
    for (const text of choicesInReservedRanges(writes, networkOf)) this.#wrong(text);
    for (const { key, value } of writes.puts ?? []) {
      if (key.startsWith(stepCollection.prefix)) this.#onStep(key, stepCollection.decode(value));
    }
    for (const { key, value } of writes.puts ?? []) {
      if (!key.startsWith(transactionCollection.prefix)) continue;
      this.#onHeader(transactionCollection.decode(value), { writes, revision: 0, delivery });
    }
    for (const { key, value } of writes.puts ?? []) this.#onFailedRestart(key, value);
    for (const { key, value } of writes.puts ?? []) {
      if (key.startsWith(stepCollection.prefix)) this.#checkKeys(key, stepCollection.decode(value));
    }
    if (isSignIn(writes)) this.#onSignIn(writes);
  }

  /** One batch without a transaction, which makes and ends tokens of sessions. */
  #onSignIn({ puts = [], deletes = [] }: Batch["writes"]): void {
    const isToken = (key: string) => key.startsWith(tokens.prefix);
    for (const { key, value } of puts) {
      if (isObject(key) && !(isToken(key) && tokens.decode(value).isSession)) {
        this.#wrong(`a sign-in writes ${key}`);
      } else if (isObject(key)) this.expected.set(key, value);
    }
    for (const key of deletes) if (isToken(key)) this.expected.delete(key);
    for (const key of [...puts.map((one) => one.key), ...deletes].filter(isToken)) {
      this.#versions.set(key, (this.#versions.get(key) ?? 0) + 1);
    }
  }

  /** A guest powered off by itself. */
  onGuest(onNode: string): void {
    const key = keyOfMachine(onNode);
    let isGuarded = false;
    for (const transaction of this.open()) {
      if (!transaction.guards.includes(key)) continue;
      transaction.isDisturbed = true;
      isGuarded = true;
    }
    this.power.set(onNode, isGuarded ? "any" : "gone_off");
  }

  /** A client was told that the transaction is being unwound. */
  expectUnwound(id: string): void {
    const known = this.transactions.get(id);
    if (known === undefined) return;
    known.isCancelled = true;
    if (known.isCommitted) this.#wrong(`${known.kind} ${id} was cancelled, and it is committed`);
  }

  /** Forgets the transactions at rest. */
  prune(): void {
    for (const { id, state } of this.transactions.values()) {
      if (state === "done" || state === "unwound") this.transactions.delete(id);
    }
  }

  #wrong(text: string): void {
    this.violations.push(text);
  }

  #onStep(key: string, row: StepRow): void {
    const [id = ""] = stepCollection.parts(key);
    const transaction = this.transactions.get(id);
    // The rows of the batch that begins or commits come with its header, which is checked after them.
    if (transaction === undefined) return;
    const what = `${transaction.kind} ${id}: step ${row.seq} ${row.name}`;
    if (row.phase === "undone") {
      if (transaction.isCommitted) this.#wrong(`${what} is undone after the commit`);
      for (const later of transaction.rows.values()) {
        // One task of several may be undone by itself.
        const isBeside = transaction.state === "running" && later.task !== row.task;
        if (later.seq > row.seq && later.phase === "started" && !isBeside) {
          this.#wrong(`${what} is undone before step ${later.seq} ${later.name}`);
        }
      }
    }
    if (row.phase === "done") {
      for (const earlier of transaction.rows.values()) {
        if (earlier.seq < row.seq && earlier.phase === "pending") {
          this.#wrong(`${what} is finished before step ${earlier.seq} ${earlier.name}`);
        }
      }
    }
    transaction.rows.set(row.seq, row);
  }

  /** A task holds the keys of what it writes, and the journal says so: a recovery holds them too. */
  #checkKeys(key: string, { name, phase, input }: StepRow): void {
    if (name !== commitTask.name || phase !== "started") return;
    const { kind, id, guards } = this.transactions.get(stepCollection.parts(key)[0]!)!;
    for (const record of (input as CommittedTask).records) {
      if (!isObject(record.key) || guards.includes(record.key)) continue;
      this.#wrong(`${kind} ${id} writes ${record.key}, and its journal does not name that key`);
    }
  }

  #onHeader(header: TransactionHeader, batch: Batch): void {
    const { id, kind, guards, state, isCommitted, error } = header;
    const { delivery } = batch;
    let known = this.transactions.get(id);
    if (known === undefined) {
      const begun = { id, kind, guards, call: delivery?.call, copy: delivery?.copy ?? 0 };
      const fresh = {
        state,
        isCommitted: false,
        error,
        rows: new Map(),
        isDisturbed: false,
        isCancelled: false,
      };
      known = { ...begun, ...fresh };
      this.transactions.set(id, known);
    }
    const before = known.state;
    if (before === "done" || before === "unwound") {
      this.#wrong(`${kind} ${id} was ${before} and is now ${state}`);
    }
    if (known.isCommitted && !isCommitted) this.#wrong(`${kind} ${id} is no longer committed`);
    if (isCommitted && !known.isCommitted) this.#onCommit(known, batch);
    Object.assign(known, { state, error, guards });
    if (state === "needs_operator" && before !== state) {
      this.neededOperator.set(kind, (this.neededOperator.get(kind) ?? 0) + 1);
    }
    if (state === "unwound") {
      this.unwound.set(kind, (this.unwound.get(kind) ?? 0) + 1);
      if (isCommitted) this.#wrong(`${kind} ${id} is unwound after its commit`);
      if (known.isDisturbed) this.#setPower(known.guards, "any");
    }
    if (state === "done" || state === "unwound") this.#onRest(known);
    for (const key of guards) this.#versions.set(key, (this.#versions.get(key) ?? 0) + 1);
  }

  #onRest({ id, kind, state, rows }: KnownTransaction): void {
    const left = [...rows.values()].filter(({ phase }) =>
      state === "unwound" ? phase !== "undone" : phase === "pending",
    );
    for (const { seq, name, phase } of left) {
      this.#wrong(`${kind} ${id} is ${state}, and its step ${seq} ${name} is ${phase}`);
    }
  }

  #onCommit(known: KnownTransaction, { writes }: Batch): void {
    known.isCommitted = true;
    if (known.isCancelled) this.#wrong(`${known.kind} ${known.id} is committed after a cancel`);
    this.committed.set(known.kind, (this.committed.get(known.kind) ?? 0) + 1);
    for (const project of projectsOf(known)) {
      this.committedIn.set(project, (this.committedIn.get(project) ?? 0) + 1);
    }
    for (const { key, value } of writes.puts ?? []) {
      if (!key.startsWith(stepCollection.prefix)) continue;
      const row: StepRow = stepCollection.decode(value);
      if (stepCollection.parts(key)[0] === known.id) known.rows.set(row.seq, row);
    }
    const rows = [...known.rows.values()].sort((a, b) => a.seq - b.seq);
    for (const row of rows) this.#onCommittedRow(row);
    for (const { key, value } of writes.puts ?? []) {
      if (isObject(key)) this.expected.set(key, value);
      this.#countShared(key, value);
    }
    for (const key of writes.deletes ?? []) {
      if (isObject(key)) this.expected.delete(key);
      this.byHand.delete(key);
    }
    for (const row of rows) this.#onPromisedRow(row, known);
    this.#onPower(known);
  }

  #countShared(key: string, value: Uint8Array): void {
    const of = OBJECTS.find(({ prefix }) => key.startsWith(prefix));
    if (of === undefined) return;
    const from = of.refOf(key);
    for (const { kind, scope } of of.refersTo?.(of.decode(value), from) ?? []) {
      if (levelOf(kind) !== "project" || scope === from.scope) continue;
      this.shared.set(kind, (this.shared.get(kind) ?? 0) + 1);
    }
  }

  /** The writes of the steps before the commit. */
  #onCommittedRow({ name, input, phase }: StepRow): void {
    if (phase !== "started") return;
    if (name.endsWith(".put_record")) {
      this.#expect(input as Replacement);
    }
    if (name === commitTask.name) this.#onCommittedTask(input as CommittedTask);
    const key = reservedByHand(name, input);
    if (key !== undefined) this.byHand.add(key);
  }

  /** It bears the mark of its transaction, which the commit of the whole takes off. */
  #onCommittedTask({ records }: CommittedTask): void {
    for (const { key, after } of records) {
      if (isObject(key)) this.expected.set(key, Buffer.from(after, "base64"));
    }
  }

  /** As an open transaction of tasks has made it, or as it was committed. */
  #networkAt(ref: Ref): Network | undefined {
    const key = networks.key(ref);
    for (const { rows } of this.open()) {
      for (const { name, phase, input } of rows.values()) {
        if (name !== commitTask.name || phase !== "started") continue;
        const { records } = input as CommittedTask;
        const made = records.find((record) => record.key === key);
        if (made !== undefined) return networks.decode(Buffer.from(made.after, "base64"));
      }
    }
    return this.find(networks, ref);
  }

  /** The writes of the steps after the commit. */
  #onPromisedRow({ name, input, phase }: StepRow, { guards }: KnownTransaction): void {
    if (phase !== "pending") return;
    if (isSettling(name)) this.#expect(input as Replacement);
    if (name === "network.forget_interfaces") this.#forgetByHand(input as Pick<Replacement, "ref">);
    if (!FORGETTING.has(name)) return;
    const { ref } = input as Pick<Replacement, "ref">;
    this.expected.delete(objectKey(ref));
    if (name !== "virtual_machine.forget") return;
    for (const key of guards) {
      const bytes = this.expected.get(key);
      if (!key.startsWith(blockStorages.prefix) || bytes === undefined) continue;
      const disk = blockStorages.decode(bytes);
      // The same transaction may delete it.
      if (disk.state !== DiskState.IN_USE) continue;
      if (disk.usedBy !== ref.name || blockStorages.refOf(key).scope !== ref.scope) continue;
      this.expected.set(key, blockStorages.encode(settled(disk, DiskState.AVAILABLE)));
    }
  }

  #forgetByHand({ ref }: Pick<Replacement, "ref">): void {
    for (const key of this.byHand)
      if (key.startsWith(interfaces.under(ref))) this.byHand.delete(key);
  }

  #expect({ ref, after }: Replacement): void {
    this.expected.set(objectKey(ref), Buffer.from(after, "base64"));
  }

  #onPower(known: KnownTransaction): void {
    for (const [rpc, keys] of requestsIn(known)) {
      const after = POWER_AFTER[rpc];
      if (after === undefined) continue;
      // Whatever the guest did, a shutdown leaves it off.
      const isSure = !known.isDisturbed || after === "shut_off";
      this.#setPower(keys, isSure ? after : "any");
    }
    for (const { name, input } of known.rows.values()) {
      if (name !== settleRestarted.name) continue;
      const keys = [objectKey((input as Pick<Replacement, "ref">).ref)];
      this.#setPower(keys, known.isDisturbed ? "any" : "running");
    }
    for (const onNode of this.power.keys()) {
      if (!this.expected.has(keyOfMachine(onNode))) this.power.delete(onNode);
    }
  }

  /** A virtual machine that a restart cannot start again is as it must be, but off, and its record says why. */
  #onFailedRestart(key: string, bytes: Uint8Array): void {
    const expected = this.expected.get(key);
    if (!key.startsWith(virtualMachines.prefix) || expected === undefined) return;
    const { state, stateReason, ...is } = virtualMachines.decode(bytes);
    if (state !== MachineState.SHUTDOWN || stateReason === "") return;
    const { state: _, stateReason: __, ...must } = virtualMachines.decode(expected);
    if (!isDeepStrictEqual(is, must)) return;
    this.expected.set(key, bytes);
    this.#setPower([key], "shut_off");
  }

  #setPower(keys: readonly string[], power: Power): void {
    for (const onNode of machinesIn(keys)) {
      if (this.expected.has(keyOfMachine(onNode))) this.power.set(onNode, power);
    }
  }
}

/** The scope of what a call in this project names. All projects are in one domain. */
export function scopeIn(project: string, kind: string): string {
  return levelOf(kind) === "project" ? project : homeOf(kind);
}

/** The steps after the pivot with which an object is gone. */
const FORGETTING: ReadonlySet<string> = new Set([
  "virtual_machine.forget",
  "block_storage.forget",
  "project.forget",
]);

/** The input of a step that writes an object. */
type Replacement = { readonly ref: Ref; readonly after: string };

/** The input of the step that commits a task. */
type CommittedTask = {
  readonly records: readonly { readonly key: string; readonly after: string }[];
};

const POWER_AFTER: Readonly<Record<string, Power>> = {
  CreateVirtualMachine: "running",
  BootVirtualMachine: "running",
  RebootVirtualMachine: "running",
  SaveVirtualMachine: "paused",
  ShutdownVirtualMachine: "shut_off",
};

function projectsOf({ guards }: KnownTransaction): Set<string> {
  const refs = guards.map(refOfKey).filter((ref) => ref !== undefined);
  return new Set(refs.filter(({ kind }) => levelOf(kind) === "project").map(({ scope }) => scope));
}

/** Each request that it carries out, and the keys of the objects that this one changes. */
function requestsIn({ kind, guards, rows }: KnownTransaction): [string, readonly string[]][] {
  const begun = [...rows.values()].filter((row) => row.name === beginTask.name);
  if (begun.length === 0) return [[kind, guards]];
  return begun.flatMap(({ task, input, phase }) => {
    if (phase !== "started") return [];
    const own = [...rows.values()].filter((row) => row.task === task);
    return [[(input as { readonly rpc: string }).rpc.split("/")[1]!, own.flatMap(keysIn)]];
  });
}

/** The keys of the objects that a step of a task writes. */
function keysIn({ name, input }: StepRow): string[] {
  if (name === commitTask.name) return (input as CommittedTask).records.map(({ key }) => key);
  const isWrite = name.endsWith(".put_record") || isSettling(name);
  return isWrite ? [objectKey((input as Pick<Replacement, "ref">).ref)] : [];
}

function isSettling(name: string): boolean {
  return name.endsWith(".settle_record") || name === settleRestarted.name;
}

function machinesIn(keys: readonly string[]): string[] {
  return keys
    .filter((key) => key.startsWith(virtualMachines.prefix))
    .map((key) => nameOnNode(virtualMachines.refOf(key)));
}

function keyOfMachine(onNode: string): string {
  return virtualMachines.key(refOnNode(virtualMachines.kind, onNode));
}

/** Only transactions and sign-ins write passwords. */
function isSignIn({ puts = [] }: Batch["writes"]): boolean {
  const writes = (prefix: string) => puts.some(({ key }) => key.startsWith(prefix));
  return writes(passwords.prefix) && !writes(transactionCollection.prefix);
}

function isObject(key: string): boolean {
  return OBJECTS.some(({ prefix }) => key.startsWith(prefix));
}

interface Reserved {
  readonly name: string;
  readonly owner: string | null;
}

/** The key of the step's reservation, if only the user owns it. */
function reservedByHand(step: string, input: unknown): string | undefined {
  const { nodeName, network, id, ...given } = input as {
    readonly nodeName?: string;
    readonly network?: Ref;
    readonly id?: string;
    readonly compute?: Reserved;
    readonly storage?: Reserved;
    readonly interface?: Reserved;
  };
  const { compute, storage, interface: nic } = given;
  if (step === "node.reserve_compute" && compute?.owner === null) {
    return computes.key(nodeName ?? "", compute.name);
  }
  if (step === "node.reserve_storage" && storage?.owner === null) {
    return storages.key(nodeName ?? "", id ?? "");
  }
  if (step === "network.reserve_interface" && nic?.owner === null && network !== undefined) {
    return interfaces.key(network, nic.name);
  }
  return undefined;
}
