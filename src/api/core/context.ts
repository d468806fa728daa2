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
import type { AuditEvents } from "./audit-event/audit-events.ts";
import type { Attempt } from "./idempotency/attempt.ts";
import type { Counting } from "./quota/counting.ts";
import type { Quotas } from "./quota/quotas.ts";
import type { Markable, UserObject } from "./resource/object.ts";
import type { NodeTurns } from "./saga/node-turns.ts";
import type { ProjectAges } from "./sharing.ts";

/**
 * What every handler works with. An area adds its own members in its `context.ts`, and `openApi` makes one
 * object with all of them.
 */
export interface Api {
  /** All resources. */
  readonly kinds: readonly Kind[];
  readonly datastore: Datastore;
  readonly records: Records;
  readonly locks: Locks<HeldObjects>;
  readonly engine: TransactionEngine<SagaContext, Writes>;
  readonly agents: Agents;
  readonly nodeTurns: NodeTurns;
  readonly projectAges: ProjectAges;
  readonly quotas: Quotas;
  /** Sign-ins and refusals. */
  readonly auditEvents: AuditEvents;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts when the process ends. */
  readonly shutdown: AbortSignal;
}

/**
 * A resource, as far as core and the lower areas need to know it. A hook gets everything that the resource's
 * own area adds to `Api`.
 */
export interface Kind {
  /** The prefix of its records, such as `virtual_machine`. */
  readonly kind: string;
  /** The name of one object in a text for people, such as "virtual machine". */
  readonly word: string;
  /** The objects, by name. A transaction writes one only under its key. */
  readonly collection: Objects<UserObject>;
  /** Other records of the objects, such as reservations. */
  readonly records: readonly AnyCollection[];
  /** Records that hold history and no objects, such as those that conditions of others rest on. */
  readonly traces: readonly AnyCollection[];
  /** Its objects, if a transaction can mark them as its own, and the state that says so, if there is one. */
  readonly pending?: { readonly of: Objects<Markable>; readonly state?: number };
  /** What its records take of the quota of their project. */
  readonly counts: readonly Counting[];
  /** The RPCs that free space on the datastore's disk, or on a node's, which may be the same one. */
  readonly givesRoom: readonly string[];
  /** What to forget with a lost node. Changes nothing. */
  onNodeLost?(api: Api, nodeName: string): Promise<LostObjects>;
  /** Of a kind whose objects are in projects: how they are deleted with their project. */
  readonly withProject?: WithProject;
  /** Whether a guest may be using the interfaces that are reserved for this object. */
  usesInterfaces?(api: Api, ref: Ref, signal: AbortSignal): Promise<boolean>;
}

/**
 * How the objects of one kind are deleted in the transaction that deletes their project. It holds the keys of
 * all objects of the project. Everything that can prevent the delete is found before its pivot.
 */
export interface WithProject {
  /** The keys of the objects in other places that go with this one. */
  belongings?(api: Api, ref: Ref): Promise<readonly string[]>;
  /**
   * Changes nothing.
   *
   * @throws N0Error `failed_precondition` for an object that cannot go with its project.
   */
  check?(api: Api, ref: Ref): Promise<void>;
  /**
   * Marks the objects as the transaction's, if they have a state that says so. Those that use them are handled
   * before, and what is removed of them after the pivot is removed before.
   *
   * @returns the writes of the commit, and the steps after it.
   * @throws N0Error like `check`; `unavailable` if a node does not answer.
   */
  remove(api: Api, tx: Tx, refs: readonly Ref[]): Promise<readonly (Writes | Later)[]>;
}

/** The objects that were on a lost node, or that name something that was. */
export interface LostObjects {
  /** The keys of the changed records. */
  readonly keys: readonly string[];
  /** The keys of the reservations on the node for them. */
  readonly reserved: readonly string[];
  /**
   * The writes that are committed with the deletion of the node, and the steps that remove things elsewhere
   * after it.
   */
  forget(tx: Tx): Promise<{ readonly writes: Writes; readonly files?: readonly Later[] }>;
}

/** What reading needs: the records themselves, or their state at one moment. */
export interface Reader {
  readonly records: Pick<Records, "find">;
}

/** What the steps of one transaction may use. */
export interface SagaContext<A extends Api = Api> {
  readonly api: A;
  /** The keys that the transaction holds. Objects are written through it. */
  readonly held: HeldObjects;
  /** If the request has an idempotency key. */
  readonly attempt?: Attempt;
}

/** A transaction that runs its steps. How it commits depends on its caller: see `saga/tx.ts`. */
export type Tx<A extends Api = Api> = Pick<
  Transaction<SagaContext<A>, Writes>,
  "context" | "id" | "live" | "header" | "signal" | "generation" | "rows" | "run"
>;

/** A step that only writes records. */
export type SagaRecordStep<I extends Json, A extends Api = Api> = RecordStep<
  SagaContext<A>,
  I,
  Writes
>;

/**
 * The target of the writes of such a step: the journal's batch or, in its undo, a batch of its own. Resolves to
 * the revision of the batch.
 */
export type WriteBatch = (writes: Writes) => Promise<number>;

/** The parts of a request besides its message. */
export interface Call {
  /** Aborts when the client hangs up or its deadline passes. */
  readonly signal: AbortSignal;
  readonly responseHeader: Headers;
  readonly requestHeader: Headers;
  /** If the request has an idempotency key. */
  readonly attempt?: Attempt;
  /** The rest of the time that the client waits. */
  readonly timeoutMs?: () => number | undefined;
  readonly values?: ContextValues;
}
