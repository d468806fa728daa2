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

/** Who asked for something, as far as it is known. */
export type Asker = {
  /** The address that the request came from. */
  readonly peer?: string;
  readonly userAgent?: string;
  readonly requestId?: string;
};

/** That somebody wants a transaction to be undone. */
export type Cancel = { readonly asker: Asker; readonly atMs: number };

/** When the acts of steps ended. Written with whatever is written next, so that it costs no write. */
export type Ended = readonly (readonly [seq: number, atMs: number])[];

export interface TransactionHeader {
  readonly id: string;
  /** The RPC, such as `CreateVirtualMachine`. */
  readonly kind: string;
  /** Keys that nobody else may change while this is open. */
  readonly guards: readonly string[];
  readonly startedAtMs: number;
  /** The session that has it in hand, or had until it ended. An older version named none. */
  readonly session?: string;
  readonly state: TransactionState;
  /** Set once the pivot is behind: what is left is to be finished, not undone. */
  readonly isCommitted: boolean;
  /** Why it is undone; while something hinders it on its way, that. */
  readonly error?: string;
  /** Why it is undone, while `error` says what hinders it. */
  readonly reason?: string;
  /** The step that hinders it. */
  readonly hinderedBySeq?: number;
  readonly finishedAtMs?: number;
  readonly asker?: Asker;
  /** Until when its client waits. */
  readonly deadlineAtMs?: number;
  /** Names the request that it carries out, where the client gave that a name. */
  readonly requestKey?: string;
  readonly cancel?: Cancel;
  readonly ended?: Ended;
  /** The nodes that its steps were at work on. Known once it is committed or undone. */
  readonly nodes?: readonly string[];
}

/** Nothing of it is left to be done or undone. */
export function isAtRest({ state }: Pick<TransactionHeader, "state">): boolean {
  return state === "done" || state === "unwound";
}

/** How doing something went that may take several tries. */
export type Tried = {
  /** When it was tried first. */
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  /** In the journal at least this many are known, until it is done: not every one is worth a write. */
  readonly tries: number;
  /** Of the last try that failed. */
  readonly error?: string;
};

/** That an operator let a step be, and what it left on its node, in words. */
export type GivenUp = { readonly by: Asker; readonly atMs: number; readonly leaves: string };

export type StepPhase = "started" | "undone" | "pending" | "done";

export interface StepRow {
  readonly seq: number;
  readonly name: string;
  readonly input: Json;
  /** A compensatable step is `started` and perhaps `undone`; a retriable one `pending` and then `done`. */
  readonly phase: StepPhase;
  readonly startedAtMs: number;
  /** When the act ended, well or not. Of most steps it is not in their own row but in a later one's `ended`. */
  readonly endedAtMs?: number;
  /** Of the act: 1 where it is not said. */
  readonly tries?: number;
  /** Why the act failed the last time. */
  readonly error?: string;
  readonly undo?: Tried;
  /** Its undo, or the act of one after the pivot, was given up: it counts as undone or done. */
  readonly givenUp?: GivenUp;
  /** Of earlier steps. */
  readonly ended?: Ended;
}

/** What is written in the same batch as a header. */
export interface Besides<W> {
  readonly writes?: W;
  /** Of steps that failed. */
  readonly rows?: readonly StepRow[];
}

/**
 * Durable memory of what was begun. Each call is durable when it resolves, and answers a number that is
 * larger than any it answered before: the generation of what follows.
 *
 * `W` is what a commit writes besides, in the same batch; a begin, a step and the end of an unwind may as well.
 */
export interface Journal<W> {
  begin(header: TransactionHeader, writes?: W): Promise<number>;
  stepStarted(id: string, row: StepRow, writes?: W): Promise<number>;
  stepUndone(id: string, row: StepRow): Promise<number>;
  /** The pivot: the final records, `committed` and what is still to be finished stand together or not at all. */
  commit(header: TransactionHeader, writes: W, retriables: readonly StepRow[]): Promise<number>;
  retriableDone(id: string, row: StepRow): Promise<number>;
  /** Writes a header whose state or error has changed. */
  update(header: TransactionHeader, besides?: Besides<W>): Promise<number>;
  /**
   * Makes an open transaction the session's, on the condition that it is as `header` says: of several that
   * try at the same time one succeeds.
   *
   * @returns it as it is then; undefined where another was faster, or it has come to rest.
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

/** An error's text, as much of it as is kept. */
export function clip(text: string): string {
  return text.slice(0, ERROR_LENGTH_MAX);
}

/** The node that a step is at work on: the `nodeName` of its input. */
export function nodeOf({ input }: Pick<StepRow, "input">): string | undefined {
  return textOf(input, "nodeName");
}

/** What a step is about, such as the name of a virtual machine: the `name` of its input, or of a thing in it. */
export function subjectOf({ input }: Pick<StepRow, "input">): string | undefined {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return undefined;
  for (const part of [input, ...Object.values(input)]) {
    const name = part === undefined ? undefined : textOf(part, "name");
    if (name !== undefined) return name;
  }
  return undefined;
}

function textOf(input: Json, key: string): string | undefined {
  if (typeof input !== "object" || input === null || !(key in input)) return undefined;
  const value = (input as { readonly [key: string]: Json | undefined })[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The nodes that these steps were at work on, in the order of the steps. */
export function nodesOf(rows: readonly StepRow[]): { readonly nodes?: readonly string[] } {
  const nodes = new Set(rows.map(nodeOf).filter((name) => name !== undefined));
  return nodes.size === 0 ? {} : { nodes: [...nodes] };
}
