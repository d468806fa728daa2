import { type Objects, unchanged } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { referTo } from "../../../datastore/references.ts";
import { type Later, later, type Retriable } from "../../../transaction/step.ts";
import type { Json } from "../../../util/json.ts";
import type { Ref } from "../../../util/ref.ts";
import type { SagaContext, SagaRecordStep, Tx } from "../context.ts";
import type { Ownable } from "../resource/object.ts";
import { namesToRefs } from "./older-input.ts";

/** An object before, null if there was none, and after: the bytes of its record in base64. */
type Replacement = {
  readonly ref: Ref;
  readonly before: string | null;
  readonly after: string;
  /** The objects that it newly refers to, without their keys. The write fails unless they exist. */
  readonly refersTo?: readonly Seen[];
};

/** A record as it was read. */
type Seen = { readonly key: string; readonly revision: number };

type Settlement = Pick<Replacement, "ref" | "after">;

interface RecordStepsOptions {
  /** Whether versions without scopes had these objects: their journals name one by its name alone. */
  readonly namesBefore?: boolean;
}

export interface RecordSteps<T> {
  /** Writes the object. The undo writes the former one. */
  readonly put: SagaRecordStep<Replacement>;
  /** Writes the object after the pivot. It is only a record, so nothing about the object can make it fail. */
  readonly settle: Retriable<SagaContext, Settlement>;
  /** Runs `put`. @param before undefined if there was none. */
  replace(
    tx: Tx,
    ref: Ref,
    before: T | undefined,
    after: T,
    refersTo?: readonly Seen[],
  ): Promise<void>;
  settleLater(ref: Ref, after: T): Later;
}

/**
 * The steps that write one kind of the users' objects. While a transaction needs an operator it holds no keys.
 * So its later writes have a condition: the record is still as this transaction left it.
 */
export function recordSteps<T extends Ownable>(
  of: Objects<T>,
  { namesBefore = false }: RecordStepsOptions = {},
): RecordSteps<T> {
  const { kind } = of;
  const older = <I extends Json>() =>
    namesBefore ? { today: namesToRefs<I>({ ref: [kind, "name"] }) } : {};
  const encode = (value: T) => Buffer.from(of.encode(value)).toString("base64");
  const decode = (text: string) => {
    const bytes = Buffer.from(text, "base64");
    return { value: of.decode(bytes), bytes };
  };

  /**
   * Writes the object in place of the one for which `isOurs` returns true. Never replaces another
   * transaction's.
   */
  async function replaceOwn(
    context: SagaContext,
    ref: Ref,
    bytes: string | null,
    isOurs: (present: Uint8Array) => boolean,
  ): Promise<void> {
    const { datastore } = context.api;
    const present = await datastore.get(of.key(ref));
    if (present === undefined || !isOurs(present.value)) return;
    const { held } = context;
    const was = of.decode(present.value);
    const written =
      bytes === null ? held.remove(of, ref, was) : held.putEncoded(of, ref, decode(bytes), was);
    await datastore.batch(merge(written, unchanged(of, [ref], present.revision)));
  }

  const put: SagaRecordStep<Replacement> = {
    name: `${kind}.put_record`,
    ...older<Replacement>(),
    writeRecords: async ({ held }, { ref, before, after, refersTo = [] }, _scope, write) => {
      const was = before === null ? undefined : decode(before).value;
      const seen = refersTo.map(({ key, revision }) => referTo(key, revision));
      await write(merge(held.putEncoded(of, ref, decode(after), was), ...seen));
    },
    undo: (context, { ref, before, after }) =>
      replaceOwn(context, ref, before, (present) => Buffer.from(after, "base64").equals(present)),
  };
  const settle: Retriable<SagaContext, Settlement> = {
    name: `${kind}.settle_record`,
    ...older<Settlement>(),
    settles: ({ ref, after }) => ({ ref, after }),
    act: (context, { ref, after }, { transactionId }) =>
      replaceOwn(
        context,
        ref,
        after,
        (present) => of.decode(present).transactionId === transactionId,
      ),
  };
  return {
    put,
    settle,
    async replace(tx, ref, before, after, refersTo = []) {
      const bytes = before === undefined ? null : encode(before);
      const seen = refersTo.map(({ key, revision }) => ({ key, revision }));
      const also = seen.length === 0 ? {} : { refersTo: seen };
      await tx.run(put, { ref, before: bytes, after: encode(after), ...also });
    },
    settleLater: (ref, after) => later(settle, { ref, after: encode(after) }),
  };
}
