import type { Objects } from "../../../../datastore/collection.ts";
import { merge, type Put, type Writes } from "../../../../datastore/datastore.ts";
import type { Api, Kind } from "../../context.ts";
import type { Markable } from "../../resource/object.ts";

/** The objects of a kind that a transaction can mark as its own. */
type Marking = NonNullable<Kind["pending"]>;

function markingOf({ kinds }: Pick<Api, "kinds">, key: string): Marking | undefined {
  return kinds.find(({ pending }) => pending !== undefined && key.startsWith(pending.of.prefix))
    ?.pending;
}

/** Whether the record is an object: it has one, and is not only a part of one. */
export function isObject({ kinds }: Pick<Api, "kinds">, key: string): boolean {
  return kinds.some(({ collection }) => key.startsWith(collection.prefix));
}

/**
 * The put with the id of the transaction in the object, if the object can have one. A PENDING object has it
 * already.
 */
export function marked(api: Pick<Api, "kinds">, put: Put, transactionId: string): Put | undefined {
  const marking = markingOf(api, put.key);
  if (marking === undefined) return undefined;
  return { ...put, value: withMark(marking.of, put.value, transactionId) };
}

function withMark(of: Objects<Markable>, bytes: Uint8Array, transactionId: string): Uint8Array {
  const object = of.decode(bytes);
  object.transactionId = transactionId;
  return of.encode(object);
}

/**
 * The writes that take the mark of the transaction from these objects. A PENDING one keeps it: the steps after the
 * commit end that state.
 */
export async function settledMarks(
  api: Pick<Api, "kinds" | "datastore">,
  transactionId: string,
  keys: readonly string[],
): Promise<Writes> {
  const writes: Writes[] = [];
  for (const key of keys) {
    const marking = markingOf(api, key);
    const present = await api.datastore.get(key);
    if (marking === undefined || present === undefined) continue;
    const { of, state } = marking;
    const object = of.decode(present.value);
    if (object.transactionId !== transactionId || isIn(state, object)) continue;
    writes.push({
      puts: [{ key, value: withMark(of, present.value, "") }],
      conditions: [{ key, revision: present.revision }],
    });
  }
  return merge(...writes);
}

function isIn(state: number | undefined, object: Markable): boolean {
  return state !== undefined && object.state === state;
}
