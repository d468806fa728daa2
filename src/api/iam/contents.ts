import type { Writes } from "../../datastore/datastore.ts";
import type { HeldObjects } from "../../datastore/held-objects.ts";
import { counted } from "../../util/counted.ts";
import { N0Error } from "../../util/errors.ts";
import { formatRef, type Ref } from "../../util/ref.ts";
import type { Api, Kind } from "../core/context.ts";
import { quotaRef, quotas } from "../core/quota/collection.ts";

const COUNT_MAX = 1_000;
const NAMES_MAX = 3;

/** Objects of one kind, at most one more than `COUNT_MAX` of them. */
export interface Found extends Pick<Kind, "word"> {
  readonly names: readonly string[];
}

/** The objects of these kinds in a scope. */
export async function objectsIn(
  { datastore, kinds }: Api,
  scope: string,
  isWanted: (kind: string) => boolean,
): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const { word, collection } of kinds.filter(({ kind }) => isWanted(kind))) {
    const entries = await datastore.list(collection.within(scope), { limit: COUNT_MAX + 1 });
    found.push({ word, names: entries.map(({ key }) => collection.parts(key)[0]) });
  }
  return found;
}

/** @throws N0Error `failed_precondition` that says what the project or domain holds. */
export function throwIfHolds(
  owner: Ref,
  found: readonly Found[],
  toDo = "delete them first",
): void {
  const texts = found.filter(({ names }) => names.length > 0).map(textOf);
  if (texts.length === 0) return;
  throw new N0Error(
    "failed_precondition",
    `${owner.kind} "${owner.name}" holds ${texts.join(", ")}: ${toDo}`,
    { resource: formatRef(owner) },
  );
}

function textOf({ word, names }: Found): string {
  const shown = names.slice(0, NAMES_MAX).map((name) => `"${name}"`);
  const more = names.length > NAMES_MAX ? ["…"] : [];
  const count =
    names.length > COUNT_MAX ? `more than ${COUNT_MAX} ${word}s` : counted(names.length, word);
  return `${count} (${[...shown, ...more].join(", ")})`;
}

/** For the batch that deletes a project or domain: its quota goes with it. The caller holds its key. */
export async function removeQuota(
  { records }: Api,
  held: HeldObjects,
  name: string,
): Promise<Writes> {
  const ref = quotaRef(name);
  const quota = await records.find(quotas, ref);
  return quota === undefined ? {} : held.remove(quotas, ref, quota.value);
}
