import type { Json } from "../util/json.ts";
import type { Ref } from "../util/ref.ts";

/** What a step gets in addition to its input. */
export interface StepScope {
  readonly transactionId: string;
  /**
   * Higher for an undo or a retriable step than for every act of the same transaction, and higher for a
   * later transaction. An agent refuses a lower one after a higher one, so that a late act has no effect
   * after its own undo.
   */
  readonly generation: number;
  /**
   * Aborts when the work should stop, because the process ends or, for an act, because the client gave up.
   */
  readonly signal: AbortSignal;
}

/**
 * One act of a saga, and the undo that reverts it.
 *
 * Both may run more than once, so both can be repeated. `undo` gets the input and never the result of
 * `act`, because after a crash nobody has it. Everything that `undo` needs (ids, names, the value before)
 * is chosen earlier and is part of the input. See docs/adr/0001.
 */
export interface Step<C, I extends Json, O = void, S = undefined> {
  /**
   * The name in the journal, `resource.verb_object`. It never changes: the registry finds the step of an
   * old row by it.
   */
  readonly name: string;

  /** Converts an input that an older version has written, and passes every other one on as it is. */
  today?(input: Json): I;

  /**
   * Does the work. What it makes bears the mark of the transaction, or a name that an earlier step
   * reserved.
   *
   * `secret` is an input that nobody may store, such as a signed URL. The journal and `undo` never have it.
   * See docs/adr/0029.
   */
  act(context: C, input: I, scope: StepScope, secret: S): Promise<O>;

  /**
   * Reverts the act. Also succeeds if `act` never ran, ran in part, or was undone before. Touches only what
   * this transaction made. Never throws because something is gone already.
   */
  undo(context: C, input: I, scope: StepScope): Promise<void>;

  /**
   * What stays on the node if an operator gives up the undo, in words: `the file of volume "x" on node
   * "y"`. A step without it cannot be given up.
   */
  leaves?(input: I): string;
}

/**
 * A step whose act only writes records. The batch with its journal row also writes these records, so it
 * costs one durable write instead of two. See docs/adr/0005.
 *
 * `W` is what the journal writes in addition to its own rows.
 */
export interface RecordStep<C, I extends Json, W>
  extends Pick<Step<C, I>, "name" | "today" | "undo" | "leaves"> {
  /**
   * Passes the writes to `write`: once, and again if one of their conditions did not hold. It changes
   * nothing else, because the journal has no row of it before that.
   */
  writeRecords(
    context: C,
    input: I,
    scope: StepScope,
    /** @returns the revision of the batch. */
    write: (writes: W) => Promise<number>,
  ): Promise<void>;
}

/** Any step before the pivot. */
export type AnyStep<C, I extends Json, O, W, S = undefined> =
  | Step<C, I, O, S>
  | RecordStep<C, I, W>;

/**
 * A step after the pivot: it cannot be undone, and is repeated until it succeeds. So it must never fail for
 * a reason that lies in the object. Work that could fail so is a step before the pivot.
 */
export interface Retriable<C, I extends Json> {
  readonly name: string;
  /** Like `today` of a step. */
  today?(input: Json): I;
  act(context: C, input: I, scope: StepScope): Promise<void>;
  /** Like `leaves` of a step, for an act that an operator gives up. */
  leaves?(input: I): string;
  /** The object that the act writes or deletes, and how it is then: the bytes of its record in base64, null for none. */
  settles?(input: I): { readonly ref: Ref; readonly after: string | null };
}

/** A retriable step with its input, as a saga passes it to `commit`. `later` makes it. */
export interface Later {
  readonly name: string;
  readonly input: Json;
}

/** Binds a retriable step to its input, so that the compiler checks the pair. */
export function later<C, I extends Json>(step: Retriable<C, I>, input: I): Later {
  return { name: step.name, input };
}
