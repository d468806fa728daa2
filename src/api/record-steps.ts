import type { Collection } from "../datastore/collection.ts";
import type { Retriable } from "../transaction/step.ts";
import type { SagaContext, SagaRecordStep } from "./context.ts";

/** An object as it was before, null if there was none, and as it is to be: its record's bytes in base64. */
export type Replacement = {
  readonly name: string;
  readonly before: string | null;
  readonly after: string;
};

export type Settlement = Pick<Replacement, "name" | "after">;

export interface RecordSteps<T> {
  /** Writes the object; undone by writing it as it was before. */
  readonly put: SagaRecordStep<Replacement>;
  /** Writes the object after the pivot. */
  readonly settle: Retriable<SagaContext, Settlement>;
  replacement(name: string, before: T | undefined, after: T): Replacement;
  settlement(name: string, after: T): Settlement;
}

/** The steps that write one kind of the users' objects. Their keys are held, so nobody else writes them. */
export function recordSteps<T>(of: Collection<T>): RecordSteps<T> {
  const resource = of.prefix.slice(0, -1);
  const encode = (value: T) => Buffer.from(of.encode(value)).toString("base64");
  const writesOf = ({ held }: SagaContext, name: string, bytes: string | null) =>
    bytes === null
      ? held.remove(of, name)
      : held.putEncoded(of, name, Buffer.from(bytes, "base64"));
  const write = async (context: SagaContext, name: string, bytes: string | null) => {
    await context.api.datastore.batch(writesOf(context, name, bytes));
  };
  return {
    put: {
      name: `${resource}.put_record`,
      writeRecords: async (context, { name, after }, _scope, writeBatch) => {
        await writeBatch(writesOf(context, name, after));
      },
      undo: (context, { name, before }) => write(context, name, before),
    },
    settle: {
      name: `${resource}.settle_record`,
      act: (context, { name, after }) => write(context, name, after),
    },
    replacement: (name, before, after) => ({
      name,
      before: before === undefined ? null : encode(before),
      after: encode(after),
    }),
    settlement: (name, after) => ({ name, after: encode(after) }),
  };
}
