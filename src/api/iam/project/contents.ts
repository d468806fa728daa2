import { createHash } from "node:crypto";
import { refOfKey } from "../../../datastore/key.ts";
import { kindOf, N0Error } from "../../../util/errors.ts";
import { formatRef, levelOf, type Ref } from "../../../util/ref.ts";
import type { Api, Kind } from "../../core/context.ts";
import { roleBindings } from "../role-binding/collection.ts";

/** The most objects that go with a project. One transaction has all of their keys and steps. */
const OBJECTS_MAX = 1_000;
const SHOWN_MAX = 20;

/** The objects of one kind in a project. */
export interface Contents {
  readonly kind: Kind;
  readonly refs: readonly Ref[];
}

/** Whether objects of the kind make a project not empty. */
export function isContent(kind: string): boolean {
  return levelOf(kind) === "project" && kind !== roleBindings.kind;
}

/**
 * What is in the project, those first that use others: kinds are listed after those that their objects use.
 *
 * @throws N0Error `failed_precondition` if that is too much for one transaction.
 */
export async function contentsOf(
  { datastore, kinds }: Api,
  project: Ref,
): Promise<readonly Contents[]> {
  const found: Contents[] = [];
  let room = OBJECTS_MAX;
  for (const kind of kinds.filter((one) => isContent(one.kind)).toReversed()) {
    const { collection } = kind;
    const entries = await datastore.list(collection.within(project.name), { limit: room + 1 });
    if (entries.length > room) throw tooMany(project);
    room -= entries.length;
    if (entries.length > 0)
      found.push({ kind, refs: entries.map(({ key }) => collection.refOf(key)) });
  }
  return found;
}

function tooMany(project: Ref): N0Error {
  const message = `project "${project.name}" holds more than ${OBJECTS_MAX} objects, and no more can be deleted with it: delete some first`;
  return new N0Error("failed_precondition", message, { resource: formatRef(project) });
}

/** The keys of the objects, and of those in other places that go with them. */
export async function keysOf(api: Api, contents: readonly Contents[]): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const { kind, refs } of contents) {
    for (const ref of refs) {
      keys.push(
        kind.collection.key(ref),
        ...((await kind.withProject?.belongings?.(api, ref)) ?? []),
      );
    }
  }
  return keys;
}

/** Why objects cannot go with the project: the first reasons. */
export async function obstaclesOf(
  api: Api,
  contents: readonly Contents[],
): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const { kind, refs } of contents) {
    for (const ref of refs) {
      if (texts.length === SHOWN_MAX) return texts;
      const text = await obstacleOf(api, kind, ref);
      if (text !== undefined) texts.push(text);
    }
  }
  return texts;
}

async function obstacleOf(api: Api, kind: Kind, ref: Ref): Promise<string | undefined> {
  try {
    if (kind.withProject === undefined) return `${kind.word} "${ref.name}": delete it first`;
    await kind.withProject.check?.(api, ref);
    return undefined;
  } catch (reason) {
    if (kindOf(reason) !== "failed_precondition") throw reason;
    return (reason as Error).message;
  }
}

/** @throws N0Error `failed_precondition` that says all of it. */
export function throwIfObstructed(project: Ref, obstacles: readonly string[]): void {
  if (obstacles.length === 0) return;
  throw new N0Error(
    "failed_precondition",
    `project "${project.name}" cannot be deleted with its objects: ${obstacles.join("; ")}`,
    { resource: formatRef(project) },
  );
}

/** Stands for the objects with these keys. */
export function hashOf(keys: readonly string[]): string {
  return createHash("sha256")
    .update([...new Set(keys)].sort().join("\n"))
    .digest("hex");
}

/** The objects with these keys, by kind. */
export function refsOf(keys: readonly string[]): ReadonlyMap<string, readonly Ref[]> {
  const refs = [...new Set(keys)].sort().flatMap((key) => refOfKey(key) ?? []);
  return Map.groupBy(refs, ({ kind }) => kind);
}
