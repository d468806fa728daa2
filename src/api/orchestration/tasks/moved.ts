import { keyText } from "../../../datastore/key.ts";
import type { ObjectRevision } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { invalid, N0Error } from "../../../util/errors.ts";
import type { Call } from "../../core/context.ts";
import type { Api } from "../../provisioning/context.ts";
import { isOfProject } from "./of-project.ts";

/**
 * @throws N0Error `failed_precondition` that names the objects that are not as the plan has found them;
 *   `invalid_argument` for what is not an object of the project of the call: nobody learns of others by this.
 */
export async function throwIfMoved(
  api: Api,
  call: Call,
  restsOn: readonly ObjectRevision[],
): Promise<void> {
  for (const [i, { key }] of restsOn.entries()) {
    if (isOfProject(api, call, key)) continue;
    throw invalid(`rests_on[${i}].key`, "is not an object of the project");
  }
  await throwUnlessSame(api, restsOn);
}

/** @throws N0Error `failed_precondition`, as `throwIfMoved`. */
export async function throwUnlessSame(
  { datastore }: Pick<Api, "datastore">,
  objects: readonly ObjectRevision[],
): Promise<void> {
  const moved: string[] = [];
  for (const { key, revision } of objects) {
    const entry = await datastore.get(key);
    if (BigInt(entry?.revision ?? 0) !== revision) moved.push(keyText(key));
  }
  if (moved.length === 0) return;
  const some = moved.slice(0, 5).join(", ");
  const more = moved.length > 5 ? ` and ${moved.length - 5} more` : "";
  const message = `the plan is out of date: since then changed ${some}${more}: make it again`;
  throw new N0Error("failed_precondition", message, { resource: moved[0]! });
}
