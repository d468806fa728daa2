import type { ContextValues } from "@connectrpc/connect";
import type { AnyCollection, Objects } from "../../datastore/collection.ts";
import type { Datastore, Writes } from "../../datastore/datastore.ts";
import type { HeldObjects } from "../../datastore/held-objects.ts";
import type { Records } from "../../datastore/records.ts";
import type { TransactionEngine } from "../../transaction/engine.ts";
import type { Locks } from "../../transaction/locks.ts";
import type { Later, RecordStep } from "../../transaction/step.ts";
import type { Transaction } from "../../transaction/transaction.ts";
import type { Clock } from "../../util/clock.ts";
import type { Json } from "../../util/json.ts";
import type { Log } from "../../util/log.ts";
import type { Random } from "../../util/random.ts";
import type { Ref } from "../../util/ref.ts";
import type { Agents } from "./agents.ts";
import type { Attempt } from "./idempotency/attempt.ts";
import type { Ownable, UserObject } from "./resource/object.ts";

/**
 * What every handler works with. An area adds what is its own, in its `context.ts`, and `openApi` makes one
 * that has all of it.
 */
export interface Api {
  /** All that there are of the users' objects. */
  readonly kinds: readonly Kind[];
  readonly datastore: Datastore;
  readonly records: Records;
  readonly locks: Locks<HeldObjects>;
  readonly engine: TransactionEngine<SagaContext, Writes>;
  readonly agents: Agents;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts with the process. */
  readonly shutdown: AbortSignal;
}

/**
 * A resource, as far as core and the areas below it need to know it. What a hook is given has all that the
 * resource's own area adds to `Api`.
 */
export interface Kind {
  /** What its records begin with, such as `virtual_machine`. */
  readonly kind: string;
  /** One object in a text for people, such as "virtual machine". */
  readonly word: string;
  /** The objects, by name. Written under their lock only. */
  readonly collection: Objects<UserObject>;
  /** What else is written down for it, such as its reservations. */
  readonly records: readonly AnyCollection[];
  /** Records of how things came about rather than of what there is, such as what others are conditional on. */
  readonly traces: readonly AnyCollection[];
  /** Its objects, where a transaction can mark them as its own, and the state that says so. */
  readonly pending?: { readonly of: Objects<Ownable>; readonly state: number };
  /** The RPCs that give room back on the datastore's disk, or on a node's, which may be the same one. */
  readonly givesRoom: readonly string[];
  /** What is to be forgotten with a node that is lost. Changes nothing. */
  onNodeLost?(api: Api, nodeName: string): Promise<LostObjects>;
  /** Whether a guest may be using the interfaces that are reserved for this object. */
  usesInterfaces?(api: Api, ref: Ref, signal: AbortSignal): Promise<boolean>;
}

/** What was on a node that is lost, or names something that was. */
export interface LostObjects {
  /** Of the records that change. */
  readonly keys: readonly string[];
  /** The keys of what is reserved on the node for them. */
  readonly reserved: readonly string[];
  /** What is committed with the node's end, and what is to be removed elsewhere after it. */
  forget(tx: Tx): Promise<{ readonly writes: Writes; readonly files?: readonly Later[] }>;
}

/** What reading alone needs: the records themselves, or how they were at one moment. */
export interface Reader {
  readonly records: Pick<Records, "find">;
}

/** What the steps of one transaction may touch. */
export interface SagaContext<A extends Api = Api> {
  readonly api: A;
  /** The keys that the transaction holds; objects are written through it. */
  readonly held: HeldObjects;
  /** Where the request bears an idempotency key. */
  readonly attempt?: Attempt;
}

/** A transaction that runs its steps. How it commits depends on who waits for it: see `saga/tx.ts`. */
export type Tx<A extends Api = Api> = Omit<Transaction<SagaContext<A>, Writes>, "commit">;

/** A step that only writes records. */
export type SagaRecordStep<I extends Json, A extends Api = Api> = RecordStep<
  SagaContext<A>,
  I,
  Writes
>;

/**
 * Where such a step hands its writes to: the journal's batch or, in its undo, one of their own. Resolves to
 * the batch's revision.
 */
export type WriteBatch = (writes: Writes) => Promise<number>;

/** The part of a request that is not its message. */
export interface Call {
  /** Aborts when the client hangs up or its deadline passes. */
  readonly signal: AbortSignal;
  readonly responseHeader: Headers;
  readonly requestHeader: Headers;
  /** Where the request bears an idempotency key. */
  readonly attempt?: Attempt;
  /** What is left of the time that the client waits. */
  readonly timeoutMs?: () => number | undefined;
  readonly values?: ContextValues;
}
