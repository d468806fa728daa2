import { type Collection, put, putNew, remove } from "../../../datastore/collection.ts";
import { type Datastore, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Node } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { WriteBatch } from "../../core/context.ts";
import {
  type Amounts,
  countedOn,
  difference,
  largest,
  NOTHING,
  type Sizes,
  toAmounts,
  toCounted,
  type Uncounted,
  whyNot,
} from "./amounts.ts";
import {
  allocations,
  type ComputeReservation,
  type Counted,
  type StorageReservation,
} from "./collection.ts";

type Reservation = ComputeReservation | StorageReservation;

/** The differences between the kinds of reservations. */
interface Kind<T> {
  readonly of: Collection<T>;
  readonly sizes: (asked: Uncounted<T>) => Sizes;
}

/** The nodes for reservations. */
interface Nodes {
  /** @throws N0Error `not_found`. */
  get(nodeName: string): {
    readonly node: Node;
    readonly capacity: Amounts;
    readonly used: Amounts;
  };
  /**
   * Writes the result of `plan`, on the condition that the node's allocation is still the one that `plan` saw.
   */
  onAllocation(nodeName: string, write: WriteBatch, plan: () => Promise<Writes>): Promise<void>;
}

/**
 * Reservations of one kind, under their node and an id. A reservation is written on the condition that no other
 * one came in between.
 */
export class Reservations<T extends Reservation> {
  readonly #nodes: Nodes;
  readonly #datastore: Datastore;
  readonly #kind: Kind<T>;

  constructor(nodes: Nodes, datastore: Datastore, kind: Kind<T>) {
    this.#nodes = nodes;
    this.#datastore = datastore;
    this.#kind = kind;
  }

  /**
   * Reserves the amounts of `asked` on the node. Succeeds if this transaction has done so before.
   *
   * @throws N0Error `not_found` for the node, `already_exists` for the reservation, `resource_exhausted`.
   */
  async reserve(
    nodeName: string,
    id: string,
    asked: Uncounted<T>,
    write: WriteBatch,
  ): Promise<void> {
    const { of } = this.#kind;
    const counted = this.#count(nodeName, asked);
    await this.#nodes.onAllocation(nodeName, write, async () => {
      const present = await this.#find(nodeName, id);
      if (present !== undefined) {
        if (present.transactionId === asked.transactionId) return {};
        throw new N0Error(
          "already_exists",
          `${of.prefix.slice(0, -1)} "${asked.name}" is already reserved on node "${nodeName}"`,
          { resource: `node/${nodeName}` },
        );
      }
      this.#throwUnlessFits(nodeName, counted);
      return putNew(of, [nodeName, id], withCounted<T>(asked, toCounted(counted)));
    });
  }

  /**
   * Replaces a reservation, if the additional amounts fit. It counts for at least `before` until `settle`, so
   * that the undo needs no room. `settle` gives back what it takes less.
   */
  async change(
    nodeName: string,
    id: string,
    { before, after }: { readonly before: Uncounted<T>; readonly after: Uncounted<T> },
    write: WriteBatch,
  ): Promise<void> {
    const counted = largest(this.#count(nodeName, after), this.#count(nodeName, before));
    await this.#nodes.onAllocation(nodeName, write, async () => {
      const present = await this.#find(nodeName, id);
      const had = present === undefined ? NOTHING : toAmounts(present.counted);
      this.#throwUnlessFits(nodeName, difference(counted, had));
      return put(this.#kind.of, [nodeName, id], withCounted<T>(after, toCounted(counted)));
    });
  }

  /** Part of the batch that makes a change final: from then on it counts only for its new amounts. */
  settle(nodeName: string, id: string, asked: Uncounted<T>): Writes {
    const counted = toCounted(this.#count(nodeName, asked));
    const settled = put(this.#kind.of, [nodeName, id], withCounted<T>(asked, counted));
    return merge(settled, put(allocations, [nodeName], {}));
  }

  /** Removes the reservation of this transaction. Another owner's reservation under the same id stays. */
  async undo(nodeName: string, id: string, transactionId: string): Promise<void> {
    const present = await this.#find(nodeName, id);
    if (present?.transactionId !== transactionId) return;
    await this.#datastore.batch(release(this.#kind.of, nodeName, id));
  }

  #count(nodeName: string, asked: Uncounted<T>): Amounts {
    return countedOn(this.#nodes.get(nodeName).node, this.#kind.sizes(asked));
  }

  async #find(nodeName: string, id: string): Promise<T | undefined> {
    const { of } = this.#kind;
    const entry = await this.#datastore.get(of.key(nodeName, id));
    return entry === undefined ? undefined : of.decode(entry.value);
  }

  #throwUnlessFits(nodeName: string, asked: Amounts): void {
    const reason = whyNot(this.#nodes.get(nodeName), asked);
    if (reason === undefined) return;
    throw new N0Error("resource_exhausted", `node "${nodeName}" has no room: ${reason}`, {
      resource: `node/${nodeName}`,
    });
  }
}

function withCounted<T extends Reservation>(asked: Uncounted<T>, counted: Counted): T {
  return { ...asked, counted } as T;
}

/** Removes a reservation, as part of a batch. */
export function release<T>(of: Collection<T>, nodeName: string, id: string): Writes {
  return merge(remove(of, nodeName, id), put(allocations, [nodeName], {}));
}
