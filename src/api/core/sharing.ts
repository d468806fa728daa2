import type { Objects } from "../../datastore/collection.ts";
import type { Records, Stored } from "../../datastore/records.ts";
import { referrersOf } from "../../datastore/references.ts";
import { Visibility } from "../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { counted } from "../../util/counted.ts";
import { invalid, N0Error, notFound } from "../../util/errors.ts";
import { formatRef, type Ref, refBeside } from "../../util/ref.ts";
import type { Reader } from "./context.ts";

/** The fields of an object that its project can share with others. */
export interface Shareable {
  readonly visibility: Visibility;
  readonly visibleTo: readonly string[];
}

/** Of an object that was never shared. */
export const PRIVATE: Shareable = { visibility: Visibility.UNSPECIFIED, visibleTo: [] };

/** Whether the objects of `project` may use an object of the project `owner`. */
export function isVisible(
  { visibility, visibleTo }: Shareable,
  owner: string,
  project: string,
): boolean {
  if (owner === project || visibility === Visibility.PUBLIC) return true;
  return visibility === Visibility.PROJECTS && visibleTo.includes(project);
}

/**
 * The object that an object of the project of `by`, or a request in it, names.
 *
 * @throws N0Error `not_found`, equally for one that does not exist and one that this project may not see.
 */
export async function getVisible<T extends Shareable>(
  { records }: Reader,
  { of, word }: { readonly of: Objects<T>; readonly word: string },
  by: Pick<Ref, "scope">,
  text: string,
): Promise<Stored<T>> {
  const ref = refBeside(by, of.kind, text);
  const stored = await records.find(of, ref);
  if (stored !== undefined && isVisible(stored.value, ref.scope, by.scope)) return stored;
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
  records: Pick<Records, "list">,
  ref: Ref,
  word: string,
  after: Shareable = PRIVATE,
): Promise<void> {
  const using = [...(await projectsUsing(records, ref))];
  const blind = using.filter((project) => !isVisible(after, ref.scope, project));
  if (blind.length > 0) throw usedElsewhere(ref, word, blind.length);
}

/** The refusal to delete an object, or to hide it, while other projects use it. It names none of them. */
export function usedElsewhere(ref: Ref, word: string, projectCount: number): N0Error {
  const message = `${word} "${ref.name}" is used by other projects: ${counted(projectCount, "project")} must delete what uses it first`;
  return new N0Error("failed_precondition", message, { resource: formatRef(ref) });
}
