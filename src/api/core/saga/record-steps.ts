import { type Objects, unchanged } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { referTo } from "../../../datastore/references.ts";
import { type Later, later, type Retriable } from "../../../transaction/step.ts";
import type { SagaContext, SagaRecordStep, Tx } from "../context.ts";
import type { Ownable } from "../resource/object.ts";

/** An object as it was before, null if there was none, and as it is to be: its record's bytes in base64. */
type Replacement = {
  readonly name: string;
  readonly before: string | null;
  readonly after: string;
  /** The records that it comes to refer to without holding their keys; it stands only while they do. */
  readonly refersTo?: readonly Seen[];
};

/** A record as it was read. */
type Seen = { readonly key: string; readonly revision: number };

type Settlement = Pick<Replacement, "name" | "after">;

export interface RecordSteps<T> {
  /** Writes the object; undone by writing it as it was before. */
  readonly put: SagaRecordStep<Replacement>;
  /** Writes the object after the pivot. Nothing of the object can make it fail: it is a record alone. */
  readonly settle: Retriable<SagaContext, Settlement>;
  /** Runs `put`. @param before undefined where there was none. */
  replace(tx: Tx, before: T | undefined, after: T, refersTo?: readonly Seen[]): Promise<void>;
  settleLater(after: T): Later;
}

/**
 * The steps that write one kind of the users' objects. While a transaction needs an operator it holds no
 * keys, so what it writes later rests on a condition: the record is still as this transaction has left it.
 */
export function recordSteps<T extends Ownable>(of: Objects<T>): RecordSteps<T> {
  const resource = of.kind;
  const encode = (value: T) => Buffer.from(of.encode(value)).toString("base64");
  const decode = (text: string) => {
    const bytes = Buffer.from(text, "base64");
    return { value: of.decode(bytes), bytes };
  };

  /** Writes the object in the place of the one that `isOurs` says yes to; what is another's stays. */
  async function replaceOwn(
    context: SagaContext,
    name: string,
    bytes: string | null,
    isOurs: (present: Uint8Array) => boolean,
  ): Promise<void> {
    const { datastore } = context.api;
    const present = await datastore.get(of.key(name));
    if (present === undefined || !isOurs(present.value)) return;
    const { held } = context;
    const was = of.decode(present.value);
    const written =
      bytes === null ? held.remove(of, name, was) : held.putEncoded(of, name, decode(bytes), was);
    await datastore.batch(merge(written, unchanged(of, [name], present.revision)));
  }

  const put: SagaRecordStep<Replacement> = {
    name: `${resource}.put_record`,
    writeRecords: async ({ held }, { name, before, after, refersTo = [] }, _scope, write) => {
      const was = before === null ? undefined : decode(before).value;
      const seen = refersTo.map(({ key, revision }) => referTo(key, revision));
      await write(merge(held.putEncoded(of, name, decode(after), was), ...seen));
    },
    undo: (context, { name, before, after }) =>
      replaceOwn(context, name, before, (present) => Buffer.from(after, "base64").equals(present)),
  };
  const settle: Retriable<SagaContext, Settlement> = {
    name: `${resource}.settle_record`,
    act: (context, { name, after }, { transactionId }) =>
      replaceOwn(
        context,
        name,
        after,
        (present) => of.decode(present).transactionId === transactionId,
      ),
  };
  return {
    put,
    settle,
    async replace(tx, before, after, refersTo = []) {
      const { name } = after;
      const bytes = before === undefined ? null : encode(before);
      const seen = refersTo.map(({ key, revision }) => ({ key, revision }));
      const also = seen.length === 0 ? {} : { refersTo: seen };
      await tx.run(put, { name, before: bytes, after: encode(after), ...also });
    },
    settleLater: (after) => later(settle, { name: after.name, after: encode(after) }),
  };
}
