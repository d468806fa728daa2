import type { Objects } from "../../datastore/collection.ts";
import { homeOf, type Ref } from "../../util/ref.ts";
import type { Call } from "./context.ts";

/**
 * The scope of the objects of this kind in a request. For now it is the default scope of the kind. This is the
 * only place where a scope comes from a request.
 */
export function scopeOf(_call: Pick<Call, "requestHeader">, kind: string): string {
  return homeOf(kind);
}

/** The object of this kind that a request names. */
export function refOf(
  call: Pick<Call, "requestHeader">,
  { kind }: Pick<Objects<unknown>, "kind">,
  name: string,
): Ref {
  return { kind, scope: scopeOf(call, kind), name };
}
