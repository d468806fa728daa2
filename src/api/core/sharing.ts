import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Objects } from "../../datastore/collection.ts";
import type { Records, Stored } from "../../datastore/records.ts";
import { referrersOf } from "../../datastore/references.ts";
import { Visibility } from "../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { counted } from "../../util/counted.ts";
import { invalid, N0Error, notFound } from "../../util/errors.ts";
import { formatRef, type Ref, refBeside } from "../../util/ref.ts";

/** The fields of an object that its project can share with others. */
export interface Shareable {
  readonly visibility: Visibility;
  readonly visibleTo: readonly string[];
  /** When the projects were named. */
  readonly visibleSince?: Timestamp | undefined;
}

/** What sharing needs to know of the projects. */
export interface ProjectAges {
  /** Whether what happened in the project at that time happened in an earlier one of the same name. */
  isFormer(project: { readonly kind: "project"; readonly name: string }, atMs: number): boolean;
}

/** The part of the API that sharing needs. */
export interface Sharing<Read extends keyof Records> {
  readonly records: Pick<Records, Read>;
  readonly projectAges: ProjectAges;
}

/** The same fields, for a record that keeps them. */
export function sharingOf({ visibility, visibleTo, visibleSince }: Shareable = PRIVATE) {
  return { visibility, visibleTo: [...visibleTo], visibleSince };
}

/** The same fields, as a request sets them now. */
export function sharedAt(nowMs: number, { visibility, visibleTo }: Shareable) {
  const visibleSince = visibleTo.length === 0 ? undefined : timestampFromMs(nowMs);
  return sharingOf({ visibility, visibleTo, visibleSince });
}

/** Of an object that was never shared. */
const PRIVATE: Shareable = { visibility: Visibility.UNSPECIFIED, visibleTo: [] };

/** Whether the objects of `project` may use an object of the project `owner`. */
export function isVisible(
  { visibility, visibleTo, visibleSince }: Shareable,
  owner: string,
  project: string,
  ages: ProjectAges,
): boolean {
  if (owner === project || visibility === Visibility.PUBLIC) return true;
  if (visibility !== Visibility.PROJECTS || !visibleTo.includes(project)) return false;
  // An older version stored no time. Its projects have none either.
  const sinceMs = visibleSince === undefined ? 0 : timestampMs(visibleSince);
  return !ages.isFormer({ kind: "project", name: project }, sinceMs);
}

/**
 * The object that an object of the project of `by`, or a request in it, names.
 *
 * @throws N0Error `not_found`, equally for one that does not exist and one that this project may not see.
 */
export async function getVisible<T extends Shareable>(
  { records, projectAges }: Sharing<"find">,
  { of, word }: { readonly of: Objects<T>; readonly word: string },
  by: Pick<Ref, "scope">,
  text: string,
): Promise<Stored<T>> {
  const ref = refBeside(by, of.kind, text);
  const stored = await records.find(of, ref);
  const isSeen = stored !== undefined && isVisible(stored.value, ref.scope, by.scope, projectAges);
  if (isSeen) return stored;
  throw notFound(word, text);
}

/** @throws N0Error `invalid_argument` for names of projects with another visibility, or none with this one. */
export function checkVisibility({ visibility, visibleTo }: Shareable): void {
  const needsNames = visibility === Visibility.PROJECTS;
  if (needsNames === visibleTo.length > 0) return;
  const rule = needsNames
    ? "must name a project if the visibility is VISIBILITY_PROJECTS"
    : "must be empty unless the visibility is VISIBILITY_PROJECTS";
  throw invalid("visible_to", rule);
}

/**
 * The other projects whose objects use this one. A caller that decides by them needs a condition: nobody has
 * begun to use it since.
 */
export async function projectsUsing(
  records: Pick<Records, "list">,
  ref: Ref,
): Promise<ReadonlySet<string>> {
  const scopes = (await referrersOf(records, ref)).map(({ scope }) => scope);
  return new Set(scopes.filter((scope) => scope !== ref.scope));
}

/** @throws N0Error `failed_precondition` that says how many projects use the object, but not which. */
export async function throwIfUsedElsewhere(
  { records, projectAges }: Sharing<"list">,
  ref: Ref,
  word: string,
  after: Shareable = PRIVATE,
): Promise<void> {
  const using = [...(await projectsUsing(records, ref))];
  const blind = using.filter((project) => !isVisible(after, ref.scope, project, projectAges));
  if (blind.length > 0) throw usedElsewhere(ref, word, blind.length);
}

/** The refusal to delete an object, or to hide it, while other projects use it. It names none of them. */
export function usedElsewhere(ref: Ref, word: string, projectCount: number): N0Error {
  const message = `${word} "${ref.name}" is used by other projects: ${counted(projectCount, "project")} must delete what uses it first`;
  return new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}
