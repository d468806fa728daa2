import type { Objects } from "../../datastore/collection.ts";
import { homeOf, type Ref, SYSTEM_SCOPE } from "../../util/ref.ts";
import type { Call } from "./context.ts";
import { whereOf } from "./where.ts";

/** The kinds whose objects belong to a domain, not to a project. */
const DOMAIN_KINDS: ReadonlySet<string> = new Set(["user"]);

/** The scope of the objects of this kind in a request. Only here a scope comes from a request. */
export function scopeOf(call: Pick<Call, "values">, kind: string): string {
  if (homeOf(kind) === SYSTEM_SCOPE) return SYSTEM_SCOPE;
  const { project, domain } = whereOf(call.values);
  return DOMAIN_KINDS.has(kind) ? domain : project;
}

/** The object of this kind that a request names. */
export function refOf(
  call: Pick<Call, "values">,
  { kind }: Pick<Objects<unknown>, "kind">,
  name: string,
): Ref {
  return { kind, scope: scopeOf(call, kind), name };
}
