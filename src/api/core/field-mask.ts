import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalid } from "../../util/errors.ts";
import { quote } from "../../util/quote.ts";

/**
 * The `fields` (proto names) that an update changes: those in the mask, or without a mask those that are set.
 *
 * @throws N0Error `invalid_argument` for a path that is not among them.
 */
export function maskOf<F extends string>(
  request: object,
  mask: FieldMask | undefined,
  fields: readonly F[],
): ReadonlySet<F> {
  if (mask !== undefined) {
    for (const path of mask.paths) {
      if (!fields.some((field) => field === path)) {
        throw invalid("update_mask", `${quote(path)} cannot be changed: use ${fields.join(", ")}`);
      }
    }
    return new Set(fields.filter((field) => mask.paths.includes(field)));
  }
  const values = new Map(Object.entries(request));
  return new Set(fields.filter((field) => isSet(values.get(camelCase(field)))));
}

function isSet(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function camelCase(field: string): string {
  return field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
