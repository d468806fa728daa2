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

/** Who sent the request, as far as it is known. */
export type Asker = {
  /** The address of the client. */
  readonly peer?: string;
  readonly userAgent?: string;
  readonly requestId?: string;
  /** Such as `user/alice`. An older version knew none. */
  readonly principal?: string;
  readonly tokenId?: string;
  /** The project of the request. */
  readonly project?: string;
};

/** A cancel: who wants a transaction to be unwound. */
export type Cancel = { readonly asker: Asker; readonly atMs: number };

/** When the acts of steps ended. The next write includes it, so it costs no write of its own. */
export type Ended = readonly (readonly [seq: number, atMs: number])[];

export interface TransactionHeader {
  readonly id: string;
  /** The method, such as `CreateVirtualMachine`. */
  readonly kind: string;
  /** The keys of the objects that no other transaction may change while this one is open. */
  readonly guards: readonly string[];
  readonly startedAtMs: number;
  /** The session that runs it, or ran it until the session ended. An older version named none. */
  readonly session?: string;
  readonly state: TransactionState;
  /** Set after the pivot: what is left must be finished, not undone. */
  readonly isCommitted: boolean;
  /** Why it is unwound; while something hinders the unwind or the finish, that. */
  readonly error?: string;
  /** Why it is unwound, while `error` says what hinders it. */
  readonly reason?: string;
  /** The step that hinders it. */
  readonly hinderedBySeq?: number;
  readonly finishedAtMs?: number;
  readonly asker?: Asker;
  /** The project that it is for; missing in older journals. */
  readonly project?: string;
  /** The deadline of its client. */
  readonly deadlineAtMs?: number;
  /** The name of the request that it carries out, if the client gave one. */
  readonly requestKey?: string;
  readonly cancel?: Cancel;
  readonly ended?: Ended;
  /** The nodes on which its steps worked. Known once it is committed or unwound. */
  readonly nodes?: readonly string[];
}

/** True if nothing is left to be finished or undone. */
export function isAtRest({ state }: Pick<TransactionHeader, "state">): boolean {
  return state === "done" || state === "unwound";
}

/** The tries of work that may need several. */
export type Tried = {
  /** When the first try began. */
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  /** In the journal a lower bound until the work is done, because not every try causes a write. */
  readonly tries: number;
  /** The error of the last failed try. */
  readonly error?: string;
};

/** Says that an operator gave up a step, and what it left on its node, in words. */
export type GivenUp = { readonly by: Asker; readonly atMs: number; readonly leaves: string };

export type StepPhase = "started" | "undone" | "pending" | "done";

export interface StepRow {
  readonly seq: number;
  readonly name: string;
  readonly input: Json;
  /** A compensatable step is `started` and perhaps `undone`; a retriable one `pending` and then `done`. */
  readonly phase: StepPhase;
  readonly startedAtMs: number;
  /** The task to which it belongs, in a transaction of tasks. */
  readonly task?: string;
  /** When the act ended, with success or not. For most steps this is in `ended` of a later row. */
  readonly endedAtMs?: number;
  /** The number of tries of the act; 1 if missing. */
  readonly tries?: number;
  /** The error of the last failed act. */
  readonly error?: string;
  readonly undo?: Tried;
  /** An operator gave up its undo, or the act of a step after the pivot: it counts as undone or done. */
  readonly givenUp?: GivenUp;
  /** The ends of earlier steps. */
  readonly ended?: Ended;
}

/** What is written in the same batch as the start of a step. */
export interface WithStart<W> {
  readonly writes?: W;
  /** The header, if the transaction holds more keys from this step on. */
  readonly header?: TransactionHeader;
}

/** What is written in the same batch as a header. */
export interface Besides<W> {
  readonly writes?: W;
  /** Of steps that failed. */
  readonly rows?: readonly StepRow[];
}

/**
 * The durable record of transactions and their steps. Each call is durable when it resolves, and returns a
 * number larger than all before: the generation of what follows.
 *
 * `W` is what a commit writes in the same batch. A begin, a step and the end of an unwind may also have
 * such writes.
 */
export interface Journal<W> {
  begin(header: TransactionHeader, writes?: W): Promise<number>;
  stepStarted(id: string, row: StepRow, besides?: WithStart<W>): Promise<number>;
  stepUndone(id: string, row: StepRow): Promise<number>;
  /**
   * The pivot: one batch writes the final records, `committed` and the steps that are still to be finished.
   */
  commit(header: TransactionHeader, writes: W, retriables: readonly StepRow[]): Promise<number>;
  retriableDone(id: string, row: StepRow): Promise<number>;
  /** Writes a header whose state or error has changed. */
  update(header: TransactionHeader, besides?: Besides<W>): Promise<number>;
  /**
   * Writes this session into the header of an open transaction, on the condition that the header is
   * unchanged. Of several sessions that try at the same time, one succeeds.
   *
   * @returns the new header; undefined if another session was faster, or if the transaction has come to
   *   rest.
   */
  claim(header: TransactionHeader, session: string): Promise<TransactionHeader | undefined>;
  find(id: string): Promise<TransactionHeader | undefined>;
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

const ERROR_LENGTH_MAX = 2_000;

/** The text of an error, cut to the length that the journal keeps. */
export function clip(text: string): string {
  return text.slice(0, ERROR_LENGTH_MAX);
}

/** The node on which a step works: the `nodeName` of its input. */
export function nodeOf({ input }: Pick<StepRow, "input">): string | undefined {
  return textOf(input, "nodeName");
}

/**
 * The name of the object of a step, such as a virtual machine: the first `name` in its input, in an object in
 * it, or in the Ref of such an object.
 */
export function subjectOf({ input }: Pick<StepRow, "input">): string | undefined {
  const parts = valuesOf(input);
  for (const part of [input, ...parts, ...parts.flatMap(valuesOf)]) {
    const name = textOf(part, "name");
    if (name !== undefined) return name;
  }
  return undefined;
}

function valuesOf(input: Json): readonly Json[] {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return [];
  return Object.values(input).filter((part) => part !== undefined);
}

function textOf(input: Json, key: string): string | undefined {
  if (typeof input !== "object" || input === null || !(key in input)) return undefined;
  const value = (input as { readonly [key: string]: Json | undefined })[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The nodes on which these steps worked, in the order of the steps. */
export function nodesOf(rows: readonly StepRow[]): { readonly nodes?: readonly string[] } {
  const nodes = new Set(rows.map(nodeOf).filter((name) => name !== undefined));
  return nodes.size === 0 ? {} : { nodes: [...nodes] };
}
