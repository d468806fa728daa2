import { N0Error } from "../../util/errors.ts";
import { ownerOnNode } from "../../util/ref.ts";
import { isMadeBy, type Mark } from "../mark.ts";

/**
 * Refuses a thing of another transaction under the name of a virtual machine that is being created, such as the
 * domain of a virtual machine in a former database.
 *
 * @throws N0Error `failed_precondition`
 */
export function refuseLeftover(
  what: "domain" | "folder",
  name: string,
  found: Mark | undefined,
  mark: Mark,
): void {
  if (found === undefined || isMadeBy(found, mark)) return;
  throw new N0Error(
    "failed_precondition",
    `a ${what} for virtual machine "${name}" is left over from transaction "${found.transactionId}": ` +
      "remove it from the node, or choose another name",
    { resource: ownerOnNode("virtual_machine", name) },
  );
}
