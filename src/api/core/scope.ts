import type { Objects } from "../../datastore/collection.ts";
import { levelOf, type Ref, SYSTEM_SCOPE } from "../../util/ref.ts";
import type { Call } from "./context.ts";
import { whereOf } from "./where.ts";

/** The scope of the objects of this kind in a request. Only here a scope comes from a request. */
export function scopeOf(call: Pick<Call, "values">, kind: string): string {
  if (kind === "role_binding") return scopeOfPlace(whereOf(call.values).place);
  const level = levelOf(kind);
  return level === "system" ? SYSTEM_SCOPE : whereOf(call.values)[level];
}

/** Begins the scope of what is in a domain but not in a project. No name of a project contains it. */
export const DOMAIN_SCOPE = "domain:";

/** A role binding is where it holds. @param place "system", "domain/NAME" or "project/NAME". */
export function scopeOfPlace(place: string): string {
  const [kind, name = ""] = place.split("/");
  if (kind === "system") return SYSTEM_SCOPE;
  return kind === "domain" ? `${DOMAIN_SCOPE}${name}` : name;
}

/** The object of this kind that a request names. */
export function refOf(
  call: Pick<Call, "values">,
  { kind }: Pick<Objects<unknown>, "kind">,
  name: string,
): Ref {
  return { kind, scope: scopeOf(call, kind), name };
}
