import { create, type Message } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { Objects } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { Later } from "../../../transaction/step.ts";
import type { Transaction } from "../../../transaction/transaction.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api, SagaContext, Tx } from "../context.ts";
import { changesWritten } from "./changes.ts";

declare const answered: unique symbol;

/** An answer that is in the commit already. Only an `AnsweringTx` makes one. */
export type Answered<T> = T & { readonly [answered]: true };

/** The other parts of a commit: writes of records, and the steps after the pivot in order. */
export type Part = Writes | Later;

/** The answer of an RPC that only says that it is done. */
export const DONE = create(EmptySchema);

/** A transaction whose answer a client waits for. It cannot commit without an answer. */
export interface AnsweringTx<A extends Api = Api> extends Tx<A> {
  /** Commits. @returns the answer, which a client also gets if it repeats the request. */
  answer<T extends Message>(value: T, ...parts: readonly Part[]): Promise<Answered<T>>;
  /** The same, if the answer is the written record: it is encoded once. */
  answerRecord<T extends Message>(
    of: Objects<T>,
    ref: Ref,
    record: T,
    before: T | undefined,
    ...parts: readonly Part[]
  ): Promise<Answered<T>>;
}

/** A transaction without a client: a repair, or one that runs within another. */
export type CommittingTx<A extends Api = Api> = Pick<
  Transaction<SagaContext<A>, Writes>,
  "commit" | keyof Tx
>;

/** Commits with the answer, which is encoded if it is the written record. */
export type CommitAnswer = (
  value: Message,
  encoded: Uint8Array | undefined,
  writes: Writes,
  laters: readonly Later[],
) => Promise<void>;

/**
 * @param commitAnswer Default: keeps the answer for a client that repeats the request, and what has changed for an undo.
 */
export function answeringTx<A extends Api>(
  tx: CommittingTx<A>,
  commitAnswer: CommitAnswer = keepingAnswer(tx),
): AnsweringTx<A> {
  const { held } = tx.context;
  const commit = async <T extends Message>(
    value: T,
    encoded: Uint8Array | undefined,
    parts: readonly Part[],
  ): Promise<Answered<T>> => {
    const { writes, laters } = partsOf(parts);
    await commitAnswer(value, encoded, writes, laters);
    return value as Answered<T>;
  };
  return Object.assign(tx, {
    answer: <T extends Message>(value: T, ...parts: readonly Part[]) =>
      commit(value, undefined, parts),
    answerRecord: <T extends Message>(
      of: Objects<T>,
      ref: Ref,
      record: T,
      before: T | undefined,
      ...parts: readonly Part[]
    ) => {
      const bytes = of.encode(record);
      const written = held.putEncoded(of, ref, { value: record, bytes }, before);
      return commit(record, bytes, [written, ...parts]);
    },
  });
}

function keepingAnswer(tx: CommittingTx): CommitAnswer {
  const { attempt } = tx.context;
  return async (value, encoded, writes, laters) => {
    const kept = attempt === undefined ? {} : attempt.answered(value, encoded);
    const changes = await changesWritten(tx, writes, laters);
    await tx.commit(merge(writes, kept, changes), ...laters);
  };
}

/** The writes as one, and the steps in their order. */
export function partsOf(parts: readonly Part[]): {
  readonly writes: Writes;
  readonly laters: readonly Later[];
} {
  const writes = parts.filter((part): part is Writes => !isLater(part));
  return { writes: merge(...writes), laters: parts.filter(isLater) };
}

function isLater(part: Part): part is Later {
  return "input" in part;
}
