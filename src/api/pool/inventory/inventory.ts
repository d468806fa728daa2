import {
  type AnyCollection,
  type Collection,
  put,
  unchanged,
} from "../../../datastore/collection.ts";
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
import { notFound } from "../../../util/errors.ts";
import { newKeyedMutex } from "../../../util/keyed-mutex.ts";
import type { WriteBatch } from "../../core/context.ts";
import { Mirror } from "../../core/read/mirror.ts";
import { heartbeats, nodes } from "../node/collection.ts";
import {
  type Amounts,
  capacityOf,
  computeSizes,
  difference,
  NOTHING,
  type Shared,
  storageSizes,
  sum,
  toAmounts,
  toNumbers,
} from "./amounts.ts";
import {
  allocations,
  type ComputeReservation,
  type Counted,
  computes,
  type StorageReservation,
  storages,
} from "./collection.ts";
import { Reservations } from "./reservations.ts";

/** A node whose agent is silent for longer than this is NOT_READY. */
export const SILENCE_MS = 15_000;
const CONFLICTS_MAX = 16;
const NONE = toNumbers(NOTHING);

export interface NodeView {
  readonly node: Node;
  /**
   * From the node, like the next one: reading the message would be slower, and choosing a node reads those of
   * all nodes.
   */
  readonly name: string;
  readonly reserveLimits: boolean;
  readonly isReady: boolean;
  /** How often the agent came back after a silence that was too long. */
  readonly returns: number;
  /** Milliseconds since the epoch; undefined if the agent was never heard. */
  readonly heardAtMs: number | undefined;
  readonly capacity: Amounts;
  readonly used: Amounts;
  readonly numbers: Shared;
}

/** The facts about a node, in one place: choosing a node reads those of all nodes. */
interface Entry {
  readonly name: string;
  /** Undefined while the node does not exist. */
  node: Node | undefined;
  reserveLimits: boolean;
  capacity: Amounts;
  heardAtMs: number | undefined;
  /** The same on this process's monotonic clock, which decides about silence. */
  heardAtMonotonicMs: number;
  returns: number;
  used: Amounts;
  /** The amounts of requests that are about to reserve. */
  held: Amounts;
  /** Both together, kept up to date. */
  usedAndHeld: Amounts;
  numbers: Shared;
  numbersWithHolds: Shared;
  /** The revision of the allocation record for which `used` is the sum. */
  revision: number;
}

/**
 * The nodes and the reservations on them. The use of a node is the sum of its reservations, kept up to date by
 * watching them. A reservation is written on the condition that no other one came in between.
 */
export class Inventory implements Disposable {
  readonly computes: Reservations<ComputeReservation>;
  readonly storages: Reservations<StorageReservation>;
  readonly #datastore: Datastore;
  readonly #clock: Clock;
  readonly #mirrors = new DisposableStack();
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(nodeName: string) => void>();
  /** Makes the reservations of this process wait instead of colliding. The condition makes them safe. */
  readonly #mutex = newKeyedMutex();

  private constructor(datastore: Datastore, clock: Clock) {
    this.#datastore = datastore;
    this.#clock = clock;
    this.computes = new Reservations(this, datastore, { of: computes, sizes: computeSizes });
    this.storages = new Reservations(this, datastore, { of: storages, sizes: storageSizes });
  }

  static async open(datastore: Datastore, clock: Clock): Promise<Inventory> {
    const inventory = new Inventory(datastore, clock);
    const { use } = inventory.#mirrors;
    const keep = use.bind(inventory.#mirrors);
    keep(
      await Mirror.open(datastore, nodes, (key, _before, after) => {
        const entry = inventory.#entryOf(nodes, key);
        entry.node = after?.value;
        entry.reserveLimits = after?.value.reserveLimits ?? false;
        entry.capacity = after === undefined ? NOTHING : capacityOf(after.value);
        recount(entry);
      }),
    );
    keep(
      await Mirror.open(datastore, heartbeats, (key, _before, after) => {
        const entry = inventory.#entryOf(heartbeats, key);
        const nowMs = clock.monotonicMs();
        if (!isReady(entry, nowMs)) entry.returns += 1;
        entry.heardAtMs = after?.value.atMs;
        // While the API was down it heard nobody, so each node gets its full time again at the start.
        entry.heardAtMonotonicMs = nowMs;
      }),
    );
    const add = <T extends { readonly counted: Counted }>(of: Collection<T>) =>
      Mirror.open(datastore, of, (key, before, after) => {
        const entry = inventory.#entryOf(of, key);
        const counted = (of: Stored<T> | undefined) =>
          of === undefined ? NOTHING : toAmounts(of.value.counted);
        entry.used = sum(difference(entry.used, counted(before)), counted(after));
        recount(entry);
      });
    keep(await add(computes));
    keep(await add(storages));
    keep(
      await Mirror.open(datastore, allocations, (key, _before, after) => {
        inventory.#entryOf(allocations, key).revision = after?.revision ?? 0;
      }),
    );
    const revision = await datastore.revision();
    await datastore.seen(revision);
    // After the mirrors, so that a listener finds the node here.
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
    return viewOf(entry, entry.node, false, this.#clock.monotonicMs());
  }

  get(nodeName: string): NodeView {
    const view = this.find(nodeName);
    if (view === undefined) throw notFound("node", nodeName);
    return view;
  }

  /** Takes over when each node was heard: a new inventory gives all of them their full time again. */
  hearAs(other: Inventory): void {
    for (const [name, { heardAtMs, heardAtMonotonicMs, returns }] of other.#entries) {
      const entry = this.#entries.get(name);
      if (entry !== undefined) Object.assign(entry, { heardAtMs, heardAtMonotonicMs, returns });
    }
  }

  /** False for a node that does not exist. Costs less than a view, because lists ask for every object. */
  isReady(nodeName: string): boolean {
    const entry = this.#entries.get(nodeName);
    return entry?.node !== undefined && isReady(entry, this.#clock.monotonicMs());
  }

  views(): NodeView[] {
    return this.#viewAll(false);
  }

  /** Like `views`, with the amounts that other requests are about to reserve: for choosing a node. */
  viewsWithHolds(): NodeView[] {
    return this.#viewAll(true);
  }

  /** Calls `listener` with the name of each node that is made or changed from now on. */
  onNode(listener: (nodeName: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Until it is disposed of, other requests that choose a node count `asked` as used there. Nothing depends on
   * it.
   */
  hold(nodeName: string, asked: Amounts): Disposable {
    const entry = this.#entry(nodeName);
    const setHeld = (held: Amounts) => {
      entry.held = held;
      recount(entry);
    };
    setHeld(sum(entry.held, asked));
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) setHeld(difference(entry.held, asked));
        isHeld = false;
      },
    };
  }

  /** The revision for the condition of deleting the node. */
  allocationRevision(nodeName: string): number {
    return this.#entries.get(nodeName)?.revision ?? 0;
  }

  [Symbol.dispose](): void {
    this.#mirrors.dispose();
  }

  /**
   * For reservations. Writes the result of `plan`, on the condition that the node's allocation is still the one
   * that `plan` saw.
   */
  async onAllocation(
    nodeName: string,
    write: WriteBatch,
    plan: () => Promise<Writes>,
  ): Promise<void> {
    await this.#mutex.run(nodeName, async () => {
      for (let conflicts = 0; ; conflicts++) {
        const revision = this.allocationRevision(nodeName);
        try {
          const writes = await plan();
          if (writes.puts === undefined) return;
          const bump = put(allocations, [nodeName], {});
          const same = unchanged(allocations, [nodeName], revision);
          // The caller sees the reservation from now on.
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

  #entryOf(of: Pick<AnyCollection, "parts">, key: string): Entry {
    return this.#entry(of.parts(key)[0]!);
  }

  #entry(nodeName: string): Entry {
    let entry = this.#entries.get(nodeName);
    if (entry === undefined) {
      entry = {
        name: nodeName,
        node: undefined,
        reserveLimits: false,
        capacity: NOTHING,
        heardAtMs: undefined,
        heardAtMonotonicMs: 0,
        returns: 0,
        used: NOTHING,
        held: NOTHING,
        usedAndHeld: NOTHING,
        numbers: { capacity: NONE, used: NONE },
        numbersWithHolds: { capacity: NONE, used: NONE },
        revision: 0,
      };
      this.#entries.set(nodeName, entry);
    }
    return entry;
  }

  #viewAll(withHolds: boolean): NodeView[] {
    const monotonicMs = this.#clock.monotonicMs();
    const views: NodeView[] = [];
    for (const entry of this.#entries.values()) {
      const { node } = entry;
      if (node !== undefined) views.push(viewOf(entry, node, withHolds, monotonicMs));
    }
    return views;
  }
}

function recount(entry: Entry): void {
  const capacity = toNumbers(entry.capacity);
  entry.usedAndHeld = sum(entry.used, entry.held);
  entry.numbers = { capacity, used: toNumbers(entry.used) };
  entry.numbersWithHolds = { capacity, used: toNumbers(entry.usedAndHeld) };
}

function viewOf(entry: Entry, node: Node, withHolds: boolean, monotonicMs: number): NodeView {
  return {
    node,
    name: entry.name,
    reserveLimits: entry.reserveLimits,
    isReady: isReady(entry, monotonicMs),
    returns: entry.returns,
    heardAtMs: entry.heardAtMs,
    capacity: entry.capacity,
    used: withHolds ? entry.usedAndHeld : entry.used,
    numbers: withHolds ? entry.numbersWithHolds : entry.numbers,
  };
}

function isReady(
  { heardAtMs, heardAtMonotonicMs }: Pick<Entry, "heardAtMs" | "heardAtMonotonicMs">,
  monotonicMs: number,
): boolean {
  return heardAtMs !== undefined && monotonicMs - heardAtMonotonicMs <= SILENCE_MS;
}
