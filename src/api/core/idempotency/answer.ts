import { create, type Message } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { Collection } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { SagaContext } from "../context.ts";
import { type Answered, asAnswered } from "./answered.ts";

/** The answer of an RPC that says no more than that it is done. */
export const DONE = create(EmptySchema);

/** These writes, and `answer` for a client that sends the request again. It is what the RPC returns. */
export function answering(
  { context: { attempt } }: { readonly context: SagaContext },
  answer: Message,
  ...writes: readonly Writes[]
): Answered {
  const kept = attempt === undefined ? [] : [attempt.answered(answer)];
  return asAnswered(merge(...writes, ...kept));
}

/** The same, where the answer is the record that is written: it is encoded once. */
export function answeringRecord<T extends Message>(
  { context: { attempt, held } }: { readonly context: SagaContext },
  of: Collection<T>,
  name: string,
  record: T,
): Answered {
  const encoded = of.encode(record);
  const kept = attempt === undefined ? {} : attempt.answered(record, encoded);
  return asAnswered(merge(held.putEncoded(of, name, encoded), kept));
}
