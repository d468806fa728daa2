/**
 * Every list, map, text and bytes field of every message that a server of ours takes has a limit, also in
 * the messages within, whoever wrote its proto.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescField, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { limitsOf } from "./limits.ts";

const GENERATED = join(import.meta.dirname, "../gen");

async function everyMethod(): Promise<DescMethod[]> {
  const files = globSync("**/*_pb.ts", { cwd: GENERATED });
  const modules: object[] = await Promise.all(files.map((file) => import(join(GENERATED, file))));
  return modules
    .flatMap((module): unknown[] => Object.values(module))
    .filter((desc): desc is DescService => {
      return typeof desc === "object" && desc !== null && "kind" in desc && desc.kind === "service";
    })
    .flatMap((service) => service.methods);
}

/** The fields within which anything has no limit, each by its path. */
function unlimited(desc: DescMessage, path: string, above: readonly DescMessage[] = []): string[] {
  if (above.includes(desc)) return [];
  return desc.fields.flatMap((field) => {
    const place = `${path}.${field.name}`;
    const own = lacksLimit(field) ? [place] : [];
    if (field.message === undefined) return own;
    return [...own, ...unlimited(field.message, place, [...above, desc])];
  });
}

function lacksLimit(field: DescField): boolean {
  const { count, length, keyLength } = limitsOf(field);
  const isMany = field.fieldKind === "list" || field.fieldKind === "map";
  if (isMany && count === undefined) return true;
  if (field.fieldKind === "map" && field.mapKey === ScalarType.STRING && keyLength === undefined) {
    return true;
  }
  const isText = field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES;
  return isText && length === undefined;
}

test("no field of a request is without a limit", async () => {
  const methods = await everyMethod();
  expect(methods.length).toBeGreaterThan(80);
  const found = methods.flatMap(({ input }) => unlimited(input, input.typeName));
  expect([...new Set(found)].sort()).toEqual([]);
});
