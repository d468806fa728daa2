import type { DescMessage, JsonValue } from "@bufbuild/protobuf";

export function isFieldMask(desc: DescMessage | undefined): boolean {
  return desc?.typeName === "google.protobuf.FieldMask";
}

/** Proto JSON holds the paths of a FieldMask as one text, in camel case; users write proto names. */
export function fieldMaskFromPaths(paths: readonly string[]): JsonValue {
  return paths
    .map((path) => path.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase()))
    .join(",");
}
