import { openCollection } from "../../../datastore/datastore-journal.ts";
import { keyText, refOfKey } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Api, Kind } from "../context.ts";
import type { Ownable } from "../resource/object.ts";

/**
 * A PENDING record is changed by its own transaction alone. A transaction that needs an operator has let
 * go of its keys and still has its records PENDING, so every saga looks at each object whose key it holds
 * before it begins.
 *
 * @param own the transactions that may meet their own records: the saga's, and the one that it runs within.
 * @throws N0Error `failed_precondition` that names the object, the transaction and what to do.
 */
export async function throwIfPending(
  api: Api,
  keys: readonly string[],
  own: readonly string[],
): Promise<void> {
  for (const key of keys) {
    const kind = api.kinds.find(({ collection }) => key.startsWith(collection.prefix));
    if (kind?.pending === undefined) continue;
    const { of, state } = kind.pending;
    const stored = await api.records.find(of, refOfKey(key)!);
    if (stored === undefined || stored.value.state !== state) continue;
    if (!own.includes(stored.value.transactionId)) throw await refusal(api, kind, stored);
  }
}

async function refusal(api: Api, { word }: Kind, { key, value }: Stored<Ownable>) {
  const { name, transactionId } = value;
  const isOpen =
    transactionId !== "" && (await api.records.find(openCollection, transactionId)) !== undefined;
  const why = isOpen
    ? `transaction ${transactionId} is at work on it or needs an operator: look at it with "n0cli tx show ${transactionId}"`
    : `no transaction is at work on it: repair it with "n0cli verify --repair"`;
  return new N0Error("failed_precondition", `${word} "${name}" is PENDING: ${why}`, {
    resource: keyText(key),
  });
}
