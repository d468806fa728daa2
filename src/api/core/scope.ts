import type { Objects } from "../../datastore/collection.ts";
import { levelOf, type Ref, SYSTEM_SCOPE } from "../../util/ref.ts";
import type { Call } from "./context.ts";
import { whereOf } from "./where.ts";

/** The scope of the objects of this kind in a request. Only here a scope comes from a request. */
export function scopeOf(call: Pick<Call, "values">, kind: string): string {
  const level = levelOf(kind);
  return level === "system" ? SYSTEM_SCOPE : whereOf(call.values)[level];
}

/** The object of this kind that a request names. */
export function refOf(
  call: Pick<Call, "values">,
  { kind }: Pick<Objects<unknown>, "kind">,
  name: string,
): Ref {
  return { kind, scope: scopeOf(call, kind), name };
}
