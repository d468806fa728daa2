import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Tx } from "../../context.ts";
import { type Different, differencesText } from "../../resource/differences.ts";
import type { Markable } from "../../resource/object.ts";
import { currentTask } from "../ambient.ts";

/** An object that a request is to make, and that exists. */
interface Existing {
  /** For people, such as `virtual machine "web"`. */
  readonly what: string;
  readonly resource: string;
  /** Which transaction has made or changed it, as far as the record says so. */
  readonly transactionId: string;
}

export function existing(
  word: string,
  ref: Ref,
  { transactionId }: Pick<Markable, "transactionId">,
): Existing {
  return { what: `${word} "${ref.name}"`, resource: formatRef(ref), transactionId };
}

/**
 * For a request to make an object that exists. As a task it has nothing to do if the object is what it asks for, so a
 * file can be run again. See docs/adr/0073.
 *
 * @returns whether to replace it: it differs, and the stack of the task allows that.
 * @throws N0Error `already_exists` if it is not a task, if another task of the same transaction has made the object,
 *   or if the object differs; then it names the differences.
 */
export async function throwUnlessStanding(
  { id }: Pick<Tx, "id">,
  { what, resource, transactionId }: Existing,
  compare: () => Promise<Different> | Different,
): Promise<boolean> {
  const task = currentTask();
  const refused = (more: string) =>
    new N0Error("already_exists", `${what} exists already${more}`, { resource });
  if (task === undefined || transactionId === id) throw refused("");
  const different = await compare();
  const { differences } = different;
  if (differences.length === 0) return false;
  const { onDifferent } = task.set;
  if (onDifferent !== undefined) return onDifferent(task.name, different) === "replace";
  throw refused(`, and is not as asked: ${differencesText(differences)}`);
}
