import type { Json } from "../../../util/json.ts";
import { refFrom } from "../../../util/ref.ts";

/** For each field of a Ref: the kind of the object, and the field in which an older version held its name. */
type OlderNames = { readonly [field: string]: readonly [kind: string, was: string] };

/** Makes the `today` of a step in whose input an older version held the names of objects. */
export function namesToRefs<I extends Json>(older: OlderNames): (input: Json) => I {
  return (input) => {
    const today = { ...(input as { readonly [field: string]: Json }) };
    for (const [field, [kind, was]] of Object.entries(older)) {
      const name = today[was];
      if (field in today || typeof name !== "string") continue;
      delete today[was];
      today[field] = refFrom(kind, name);
    }
    // The rest is as the step wrote it.
    return today as I;
  };
}
