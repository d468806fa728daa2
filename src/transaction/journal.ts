import type { Json } from "../util/json.ts";
import type { Later } from "./step.ts";

/**
 * The life of a transaction:
 *
 *     running ──▶ committed ──▶ done            after the pivot it only goes forward
 *        │            └──▶ needs_operator
 *        └──▶ unwinding ──▶ unwound             before it, it only goes back
 *                 └──▶ needs_operator
 *
 * `running`, `unwinding`, `committed` and `needs_operator` are open; `done` and `unwound` are at rest.
 */
export type TransactionState =
  | "running"
  | "unwinding"
  | "committed"
  | "needs_operator"
  | "unwound"
  | "done";

export interface TransactionHeader {
  readonly id: string;
  /** The RPC, such as `CreateVirtualMachine`. */
  readonly kind: string;
  /** Keys that nobody else may change while this is open. */
  readonly guards: readonly string[];
  readonly startedAtMs: number;
  readonly state: TransactionState;
  /** Set once the pivot is behind: what is left is to be finished, not undone. */
  readonly isCommitted: boolean;
  readonly error?: string;
  readonly finishedAtMs?: number;
}

export type StepPhase = "started" | "undone" | "pending" | "done";

export interface StepRow {
  readonly seq: number;
  readonly name: string;
  readonly input: Json;
  /** A compensatable step is `started` and perhaps `undone`; a retriable one `pending` and then `done`. */
  readonly phase: StepPhase;
  readonly startedAtMs: number;
  readonly error?: string;
}

/**
 * Durable memory of what was begun. Each call is durable when it resolves, and answers a number that is
 * larger than any it answered before: the generation of what follows.
 *
 * `W` is what a commit writes besides, in the same batch; the beginning and the end may as well.
 */
export interface Journal<W> {
  begin(header: TransactionHeader, writes?: W): Promise<number>;
  stepStarted(id: string, row: StepRow): Promise<number>;
  stepUndone(id: string, row: StepRow): Promise<number>;
  /** The pivot: the final records, `committed` and what is still to be finished stand together or not at all. */
  commit(header: TransactionHeader, writes: W, retriables: readonly StepRow[]): Promise<number>;
  retriableDone(id: string, row: StepRow): Promise<number>;
  /** Writes a header whose state or error has changed. */
  update(header: TransactionHeader, writes?: W): Promise<number>;
  listOpen(): Promise<readonly TransactionHeader[]>;
  /** In the order of `seq`. */
  listSteps(id: string): Promise<readonly StepRow[]>;
}

export function laterRows(steps: readonly Later[], seqFirst: number, nowMs: number): StepRow[] {
  return steps.map(({ name, input }, i) => ({
    seq: seqFirst + i,
    name,
    input,
    phase: "pending",
    startedAtMs: nowMs,
  }));
}
