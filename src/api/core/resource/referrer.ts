import type { Api, Kind } from "../context.ts";

/** An object that refers to the one named, of the first resource that has any; undefined for none. */
export async function findReferrer(
  { kinds, records }: Pick<Api, "kinds" | "records">,
  toKind: string,
  toName: string,
): Promise<(Pick<Kind, "word"> & { readonly name: string }) | undefined> {
  for (const { word, collection, references } of kinds) {
    const namesIn = references?.[toKind];
    if (namesIn === undefined) continue;
    const found = (await records.list(collection)).find(({ value }) =>
      namesIn(value).includes(toName),
    );
    if (found !== undefined) return { word, name: found.value.name };
  }
  return undefined;
}
