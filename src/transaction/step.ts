import type { Json } from "../util/json.ts";

/** What a step is told besides its input. */
export interface StepScope {
  readonly transactionId: string;
  /**
   * Grows from each act to every undo and retriable step of the same transaction, and from transaction
   * to transaction. An agent refuses an older one after a newer one, so that a late act cannot land
   * after its own undo.
   */
  readonly generation: number;
  /** Aborts when the work should stop: the process ends or, for an act, the client gave up. */
  readonly signal: AbortSignal;
}

/**
 * One action of a saga and the action that reverses it.
 *
 * Both run at least once, so both can be repeated. `undo` is given the input and never what `act`
 * returned: after a crash nobody knows whether it returned. Whatever `undo` needs (ids, names, the
 * value before) is chosen earlier and is part of the input. See docs/adr/0001.
 */
export interface Step<C, I extends Json, O = void, S = undefined> {
  /** Journal name, `resource.verb_object`. Stable for ever: old journal rows are looked up by it. */
  readonly name: string;

  /**
   * Does the work. What it makes bears the transaction's mark, or a name an earlier step reserved.
   *
   * `secret` is what it needs and nobody may write down, such as a signed URL: the journal never has it,
   * and neither has `undo`. See docs/adr/0029.
   */
  act(context: C, input: I, scope: StepScope, secret: S): Promise<O>;

  /**
   * Puts the world back. Succeeds as well when `act` never ran, ran in part, or was undone before, and
   * touches only what this transaction made. Never throws because a thing is gone already.
   */
  undo(context: C, input: I, scope: StepScope): Promise<void>;

  /**
   * What stays on the node if an operator gives the undo up, in words: `the file of volume "x" on node
   * "y"`. A step without it cannot be given up.
   */
  leaves?(input: I): string;
}

/**
 * A step whose act is writes of records and nothing else. They stand in the batch that journals it, so it
 * costs one durable write instead of two. See docs/adr/0005.
 *
 * `W` is what the journal writes besides its own.
 */
export interface RecordStep<C, I extends Json, W>
  extends Pick<Step<C, I>, "name" | "undo" | "leaves"> {
  /**
   * Hands the writes to `write`: once, and again where a condition of theirs did not hold. It changes
   * nothing else, since until then the journal knows of nothing.
   */
  writeRecords(
    context: C,
    input: I,
    scope: StepScope,
    /** @returns the batch's revision. */
    write: (writes: W) => Promise<number>,
  ): Promise<void>;
}

/** Any step before the pivot. */
export type AnyStep<C, I extends Json, O, W, S = undefined> =
  | Step<C, I, O, S>
  | RecordStep<C, I, W>;

/**
 * Work after the pivot: it cannot be undone, only finished, and is repeated until it is. So it never fails
 * for a reason that lies in the object; what could is tried before the pivot.
 */
export interface Retriable<C, I extends Json> {
  readonly name: string;
  act(context: C, input: I, scope: StepScope): Promise<void>;
  /** As that of a step, if an operator gives the act up. */
  leaves?(input: I): string;
}

/** A retriable step with its input, as a saga hands it to `commit`. Made by `later`. */
export interface Later {
  readonly name: string;
  readonly input: Json;
}

/** Binds a retriable step to its input, so that the pair type-checks where it is written. */
export function later<C, I extends Json>(step: Retriable<C, I>, input: I): Later {
  return { name: step.name, input };
}
