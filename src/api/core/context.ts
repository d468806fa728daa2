import type { ContextValues } from "@connectrpc/connect";
import type { Datastore, Writes } from "../../datastore/datastore.ts";
import type { HeldObjects } from "../../datastore/held-objects.ts";
import type { Records } from "../../datastore/records.ts";
import type { TransactionEngine } from "../../transaction/engine.ts";
import type { Locks } from "../../transaction/locks.ts";
import type { RecordStep } from "../../transaction/step.ts";
import type { Transaction } from "../../transaction/transaction.ts";
import type { Clock } from "../../util/clock.ts";
import type { Json } from "../../util/json.ts";
import type { Log } from "../../util/log.ts";
import type { Random } from "../../util/random.ts";
import type { AddressBook } from "../network/interface/address-book.ts";
import type { Inventory } from "../pool/inventory/inventory.ts";
import type { ProgressBoard } from "../provisioning/block-storage/progress.ts";
import type { ObservedStates } from "../provisioning/virtual-machine/observed-states.ts";
import type { Agents } from "./agents.ts";
import type { ConsoleLinks } from "./console-links.ts";
import type { Attempt } from "./idempotency/attempt.ts";
import type { Kind } from "./resource/kind.ts";

/** Everything that a handler works with. Built once, in `api.ts`. */
export interface Api {
  /** All that there are of the users' objects. */
  readonly kinds: readonly Kind[];
  readonly datastore: Datastore;
  readonly records: Records;
  readonly locks: Locks<HeldObjects>;
  readonly engine: TransactionEngine<SagaContext, Writes>;
  readonly inventory: Inventory;
  readonly addressBook: AddressBook;
  readonly agents: Agents;
  readonly observed: ObservedStates;
  readonly progress: ProgressBoard;
  readonly links: ConsoleLinks;
  /** What guests are told to resolve names with. */
  readonly nameservers: readonly string[];
  /** How much of its limit a block storage must request, from 0 to 1. */
  readonly storageRequestRatioMin: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts with the process. */
  readonly shutdown: AbortSignal;
}

/** What reading alone needs: the records themselves, or how they were at one moment. */
export interface Reader {
  readonly records: Pick<Records, "find">;
}

/** What the steps of one transaction may touch. */
export interface SagaContext {
  readonly api: Api;
  /** The keys that the transaction holds; objects are written through it. */
  readonly held: HeldObjects;
  /** Where the request bears an idempotency key. */
  readonly attempt?: Attempt;
}

/** A transaction that runs its steps. How it commits depends on who waits for it: see `saga/tx.ts`. */
export type Tx = Omit<Transaction<SagaContext, Writes>, "commit">;

/** A step that only writes records. */
export type SagaRecordStep<I extends Json> = RecordStep<SagaContext, I, Writes>;

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
