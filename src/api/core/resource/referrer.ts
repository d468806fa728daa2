import { referrersOf } from "../../../datastore/references.ts";
import { defined } from "../../../util/defined.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api, Kind } from "../context.ts";
import { currentTask } from "../saga/ambient.ts";
import { staysReferrer } from "../saga/tasks/going.ts";

/** An object that refers to this one: the first one, of all kinds or of one; undefined for none. */
export async function findReferrer(
  { kinds, records }: Pick<Api, "kinds" | "records">,
  to: Ref,
  kind?: string,
): Promise<(Pick<Kind, "word"> & Omit<Ref, "kind">) | undefined> {
  // Earlier tasks of the same transaction may end the first ones.
  const limit = currentTask() === undefined ? 1 : undefined;
  const all = await referrersOf(records, to, defined({ kind, limit }));
  const from = all.find((one) => staysReferrer(one, to));
  if (from === undefined) return undefined;
  const { scope, name } = from;
  return { word: kinds.find((one) => one.kind === from.kind)?.word ?? from.kind, scope, name };
}
