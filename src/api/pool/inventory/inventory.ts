import { type Collection, put, putNew, remove, unchanged } from "../../../datastore/collection.ts";
import {
  ConflictError,
  caughtUp,
  type Datastore,
  merge,
  type Writes,
} from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Node } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import type { Clock } from "../../../util/clock.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { newKeyedMutex } from "../../../util/keyed-mutex.ts";
import type { WriteBatch } from "../../core/context.ts";
import { Mirror } from "../../core/read/mirror.ts";
import { heartbeats, nodes } from "../node/collection.ts";
import {
  type Amounts,
  countCompute,
  countStorage,
  largest,
  NOTHING,
  negative,
  sum,
  toAmounts,
  type Uncounted,
} from "./amounts.ts";
import {
  allocations,
  type ComputeReservation,
  type Counted,
  computes,
  type StorageReservation,
  storages,
} from "./collection.ts";

/** A node whose agent is silent for longer than this is NOT_READY. */
export const SILENCE_MS = 15_000;
const CONFLICTS_MAX = 16;

export interface NodeView {
  readonly node: Node;
  readonly isReady: boolean;
  /** How often it was heard again after it had been silent for too long. */
  readonly returns: number;
  /** Milliseconds since the epoch; undefined when it was never heard. */
  readonly heardAtMs: number | undefined;
  readonly used: Amounts;
}

/** What is known of a node, in one place: choosing a node looks at all of them. */
interface Entry {
  /** Undefined while there is no such node, or no longer. */
  node: Node | undefined;
  heardAtMs: number | undefined;
  /** The same on this process's own clock, which nobody sets: what is silence is told by it. */
  heardAtMonotonicMs: number;
  returns: number;
  used: Amounts;
  /** Of requests that are about to reserve. */
  held: Amounts;
  /** Both, kept up to date with them. */
  usedAndHeld: Amounts;
  /** Revision of the allocation record that `used` is the sum for. */
  revision: number;
}

/**
 * The nodes and what is reserved on them. Use is the sum of the reservations, kept up to date by
 * watching them; a reservation is written on the condition that no other came in between.
 */
export class Inventory implements Disposable {
  readonly #datastore: Datastore;
  readonly #clock: Clock;
  readonly #mirrors = new DisposableStack();
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(nodeName: string) => void>();
  /** Makes those of this process wait instead of colliding; the condition is what makes it safe. */
  readonly #mutex = newKeyedMutex();
  #computes!: Mirror<ComputeReservation>;
  #storages!: Mirror<StorageReservation>;

  private constructor(datastore: Datastore, clock: Clock) {
    this.#datastore = datastore;
    this.#clock = clock;
  }

  static async open(datastore: Datastore, clock: Clock): Promise<Inventory> {
    const inventory = new Inventory(datastore, clock);
    const { use } = inventory.#mirrors;
    const keep = use.bind(inventory.#mirrors);
    keep(
      await Mirror.open(datastore, nodes, (key, _before, after) => {
        inventory.#entryOf(nodes, key).node = after?.value;
      }),
    );
    keep(
      await Mirror.open(datastore, heartbeats, (key, _before, after) => {
        const entry = inventory.#entryOf(heartbeats, key);
        const nowMs = clock.monotonicMs();
        if (!isReady(entry, nowMs)) entry.returns += 1;
        entry.heardAtMs = after?.value.atMs;
        // While the API was away nobody could be heard, so each gets its time anew when it comes back.
        entry.heardAtMonotonicMs = nowMs;
      }),
    );
    const add = <T extends { readonly counted: Counted }>(of: Collection<T>) =>
      Mirror.open(datastore, of, (key, before, after) => {
        const entry = inventory.#entryOf(of, key);
        const counted = (of: Stored<T> | undefined) =>
          of === undefined ? NOTHING : toAmounts(of.value.counted);
        entry.used = sum(sum(entry.used, negative(counted(before))), counted(after));
        entry.usedAndHeld = sum(entry.used, entry.held);
      });
    inventory.#computes = keep(await add(computes));
    inventory.#storages = keep(await add(storages));
    keep(
      await Mirror.open(datastore, allocations, (key, _before, after) => {
        inventory.#entryOf(allocations, key).revision = after?.revision ?? 0;
      }),
    );
    const revision = await datastore.revision();
    await datastore.seen(revision);
    // After the mirrors: who is told of a node finds it here.
    const stop = datastore.watch(nodes.prefix, revision, (changes) => {
      for (const change of changes) {
        if (change.kind === "put") inventory.#tell(nodes.parts(change.entry.key)[0]!);
      }
    });
    inventory.#mirrors.defer(stop);
    return inventory;
  }

  find(nodeName: string): NodeView | undefined {
    const entry = this.#entries.get(nodeName);
    if (entry?.node === undefined) return undefined;
    return this.#view(entry, entry.node, entry.used, this.#clock.monotonicMs());
  }

  get(nodeName: string): NodeView {
    const view = this.find(nodeName);
    if (view === undefined) throw notFound("node", nodeName);
    return view;
  }

  views(): NodeView[] {
    return this.#viewAll(({ used }) => used);
  }

  /** As `views`, with what other requests are about to reserve counted in: for choosing a node. */
  viewsWithHolds(): NodeView[] {
    return this.#viewAll(({ usedAndHeld }) => usedAndHeld);
  }

  /** Calls `listener` with the name of each node that is made or changed from here on. */
  onNode(listener: (nodeName: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Until it is disposed of, others that choose a node count `asked` as used there. Nothing rests on it. */
  hold(nodeName: string, asked: Amounts): Disposable {
    const entry = this.#entry(nodeName);
    const add = (amounts: Amounts) => {
      entry.held = sum(entry.held, amounts);
      entry.usedAndHeld = sum(entry.used, entry.held);
    };
    add(asked);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) add(negative(asked));
        isHeld = false;
      },
    };
  }

  /** The revision on whose being unchanged a node may be deleted. */
  allocationRevision(nodeName: string): number {
    return this.#entries.get(nodeName)?.revision ?? 0;
  }

  /**
   * Reserves processor and memory. Success if this transaction has done so before.
   *
   * @throws N0Error `not_found` for the node, `already_exists` for the compute, `resource_exhausted`.
   */
  async reserveCompute(
    nodeName: string,
    asked: Uncounted<ComputeReservation>,
    write: WriteBatch,
  ): Promise<void> {
    const { node } = this.get(nodeName);
    const counted = countCompute(asked, node);
    await this.#reserve(computes, nodeName, asked.name, { ...asked, counted }, write);
  }

  /** As `reserveCompute`, for bytes of disk; `id` is what it is kept under. */
  async reserveStorage(
    nodeName: string,
    id: string,
    asked: Uncounted<StorageReservation>,
    write: WriteBatch,
  ): Promise<void> {
    const { node } = this.get(nodeName);
    const counted = countStorage(asked, node);
    await this.#reserve(storages, nodeName, id, { ...asked, counted }, write);
  }

  /**
   * Replaces a reservation, if what it takes more fits. It goes on counting for at least `before`, so that
   * going back to that needs nothing; `settleCompute` gives back what it takes less.
   */
  async changeCompute(
    nodeName: string,
    asked: Uncounted<ComputeReservation>,
    before: Uncounted<ComputeReservation>,
    write: WriteBatch,
  ): Promise<void> {
    const { node } = this.get(nodeName);
    const counted = largest(countCompute(asked, node), countCompute(before, node));
    const changed = { ...asked, counted };
    await this.#change(computes, this.#computes, nodeName, asked.name, changed, write);
  }

  /** As `changeCompute`, for bytes of disk. */
  async changeStorage(
    nodeName: string,
    id: string,
    asked: Uncounted<StorageReservation>,
    before: Uncounted<StorageReservation>,
    write: WriteBatch,
  ): Promise<void> {
    const { node } = this.get(nodeName);
    const counted = largest(countStorage(asked, node), countStorage(before, node));
    await this.#change(storages, this.#storages, nodeName, id, { ...asked, counted }, write);
  }

  /** Part of the batch that makes a change final: from here it counts for what it is. */
  settleCompute(nodeName: string, asked: Uncounted<ComputeReservation>): Writes {
    const counted = countCompute(asked, this.get(nodeName).node);
    const settled = put(computes, [nodeName, asked.name], { ...asked, counted });
    return merge(settled, put(allocations, [nodeName], {}));
  }

  /** As `settleCompute`, for bytes of disk. */
  settleStorage(nodeName: string, id: string, asked: Uncounted<StorageReservation>): Writes {
    const counted = countStorage(asked, this.get(nodeName).node);
    const settled = put(storages, [nodeName, id], { ...asked, counted });
    return merge(settled, put(allocations, [nodeName], {}));
  }

  /** Removes what this transaction reserved; somebody else's under the same name stays. */
  async undoReserve<T extends ComputeReservation | StorageReservation>(
    of: Collection<T>,
    nodeName: string,
    id: string,
    transactionId: string,
  ): Promise<void> {
    const entry = await this.#datastore.get(of.key(nodeName, id));
    if (entry === undefined || of.decode(entry.value).transactionId !== transactionId) return;
    await this.#datastore.batch(release(of, nodeName, id));
  }

  [Symbol.dispose](): void {
    this.#mirrors.dispose();
  }

  async #reserve<T extends ComputeReservation | StorageReservation>(
    of: Collection<T>,
    nodeName: string,
    id: string,
    reservation: T,
    write: WriteBatch,
  ): Promise<void> {
    await this.#onAllocation(nodeName, write, async () => {
      const present = await this.#datastore.get(of.key(nodeName, id));
      if (present !== undefined) {
        if (of.decode(present.value).transactionId === reservation.transactionId) return {};
        throw new N0Error(
          "already_exists",
          `${of.prefix.slice(0, -1)} "${reservation.name}" is already reserved on node "${nodeName}"`,
          { resource: `node/${nodeName}` },
        );
      }
      throwUnlessFits(this.get(nodeName), toAmounts(reservation.counted));
      return putNew(of, [nodeName, id], reservation);
    });
  }

  async #change<T extends ComputeReservation | StorageReservation>(
    of: Collection<T>,
    mirror: Mirror<T>,
    nodeName: string,
    id: string,
    changed: T,
    write: WriteBatch,
  ): Promise<void> {
    await this.#onAllocation(nodeName, write, () => {
      const present = mirror.get(nodeName, id)?.value.counted;
      const before = present === undefined ? NOTHING : toAmounts(present);
      const after = toAmounts(changed.counted);
      throwUnlessFits(this.get(nodeName), {
        cpuMilliCores: after.cpuMilliCores - before.cpuMilliCores,
        memoryBytes: after.memoryBytes - before.memoryBytes,
        storageBytes: after.storageBytes - before.storageBytes,
      });
      return put(of, [nodeName, id], changed);
    });
  }

  /** Writes what `plan` answers, on the condition that the node's allocation is as `plan` saw it. */
  async #onAllocation(
    nodeName: string,
    write: WriteBatch,
    plan: () => Writes | Promise<Writes>,
  ): Promise<void> {
    await this.#mutex.run(nodeName, async () => {
      for (let conflicts = 0; ; conflicts++) {
        const revision = this.allocationRevision(nodeName);
        try {
          const writes = await plan();
          if (writes.puts === undefined) return;
          const bump = put(allocations, [nodeName], {});
          const same = unchanged(allocations, [nodeName], revision);
          // Who goes on from here sees what was reserved.
          await this.#datastore.seen(await write(merge(writes, bump, same)));
          return;
        } catch (reason) {
          if (!(reason instanceof ConflictError) || conflicts >= CONFLICTS_MAX) throw reason;
          await caughtUp(this.#datastore);
        }
      }
    });
  }

  #tell(nodeName: string): void {
    for (const listener of this.#listeners) listener(nodeName);
  }

  #entryOf<T>(of: Collection<T>, key: string): Entry {
    return this.#entry(of.parts(key)[0]!);
  }

  #entry(nodeName: string): Entry {
    let entry = this.#entries.get(nodeName);
    if (entry === undefined) {
      entry = {
        node: undefined,
        heardAtMs: undefined,
        heardAtMonotonicMs: 0,
        returns: 0,
        used: NOTHING,
        held: NOTHING,
        usedAndHeld: NOTHING,
        revision: 0,
      };
      this.#entries.set(nodeName, entry);
    }
    return entry;
  }

  #viewAll(usedOf: (entry: Entry) => Amounts): NodeView[] {
    const monotonicMs = this.#clock.monotonicMs();
    const views: NodeView[] = [];
    for (const entry of this.#entries.values()) {
      const { node } = entry;
      if (node !== undefined) views.push(this.#view(entry, node, usedOf(entry), monotonicMs));
    }
    return views;
  }

  #view(entry: Entry, node: Node, used: Amounts, monotonicMs: number): NodeView {
    const { heardAtMs, returns } = entry;
    return { node, heardAtMs, isReady: isReady(entry, monotonicMs), returns, used };
  }
}

function isReady(
  { heardAtMs, heardAtMonotonicMs }: Pick<Entry, "heardAtMs" | "heardAtMonotonicMs">,
  monotonicMs: number,
): boolean {
  return heardAtMs !== undefined && monotonicMs - heardAtMonotonicMs <= SILENCE_MS;
}

/** Removes a reservation, as part of a batch. */
export function release<T>(of: Collection<T>, nodeName: string, id: string): Writes {
  return merge(remove(of, nodeName, id), put(allocations, [nodeName], {}));
}

/** What is lacking on the node, in words; undefined if it fits. */
export function whyNot({ node, used }: NodeView, asked: Amounts): string | undefined {
  const { cpuMilliCores, memoryBytes, storageBytes } = node;
  const freeCpu = cpuMilliCores - used.cpuMilliCores;
  if (asked.cpuMilliCores > 0 && asked.cpuMilliCores > freeCpu)
    return lack("cpu_milli_core", cpuMilliCores, freeCpu, asked.cpuMilliCores);
  const freeMemory = memoryBytes - used.memoryBytes;
  if (asked.memoryBytes > 0n && asked.memoryBytes > freeMemory)
    return lack("memory_bytes", memoryBytes, freeMemory, asked.memoryBytes);
  if (asked.storageBytes <= 0n) return undefined;
  const freeStorage = storageBytes - used.storageBytes;
  if (asked.storageBytes > freeStorage)
    return lack("storage_bytes", storageBytes, freeStorage, asked.storageBytes);
  return undefined;
}

function lack<T extends number | bigint>(field: string, all: T, free: T, requested: T): string {
  return `${field}: ${free} of ${all} free, ${requested} requested`;
}

function throwUnlessFits(view: NodeView, asked: Amounts): void {
  const reason = whyNot(view, asked);
  if (reason === undefined) return;
  throw new N0Error("resource_exhausted", `node "${view.node.name}" has no room: ${reason}`, {
    resource: `node/${view.node.name}`,
  });
}
