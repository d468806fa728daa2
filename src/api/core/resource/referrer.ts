import { referrersOf } from "../../../datastore/references.ts";
import { defined } from "../../../util/defined.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api, Kind } from "../context.ts";

/** An object that refers to this one: the first one, of all kinds or of one; undefined for none. */
export async function findReferrer(
  { kinds, records }: Pick<Api, "kinds" | "records">,
  to: Ref,
  kind?: string,
): Promise<(Pick<Kind, "word"> & Omit<Ref, "kind">) | undefined> {
  const [from] = await referrersOf(records, to, { limit: 1, ...defined({ kind }) });
  if (from === undefined) return undefined;
  const { scope, name } = from;
  return { word: kinds.find((one) => one.kind === from.kind)?.word ?? from.kind, scope, name };
}
