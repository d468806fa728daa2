import { openCollection } from "../../../datastore/datastore-journal.ts";
import { keyText } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Api, Kind } from "../context.ts";
import type { Ownable } from "../resource/object.ts";

/**
 * Only its own transaction changes a PENDING record. A transaction that needs an operator has released its
 * keys, but its records are still PENDING. So every saga checks each object whose key it holds before it
 * begins.
 *
 * @param own The transactions that may use their own PENDING records: the saga's, and the one that it runs
 *   within.
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
    const stored = await api.records.find(of, of.refOf(key));
    if (stored === undefined || stored.value.state !== state) continue;
    if (!own.includes(stored.value.transactionId)) throw await refusal(api, kind, stored);
  }
}

async function refusal(api: Api, { word }: Kind, { key, value }: Stored<Ownable>) {
  const { name, transactionId } = value;
  const isOpen =
    transactionId !== "" && (await api.records.find(openCollection, transactionId)) !== undefined;
  const why = isOpen
    ? `transaction ${transactionId} works on it or needs an operator: see "n0cli tx show ${transactionId}"`
    : `no transaction works on it: repair it with "n0cli verify --repair"`;
  return new N0Error("failed_precondition", `${word} "${name}" is PENDING: ${why}`, {
    resource: keyText(key),
  });
}
