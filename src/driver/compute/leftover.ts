import { N0Error } from "../../util/errors.ts";
import { ownerOnNode } from "../../util/ref.ts";
import { isMadeBy, type Mark } from "../mark.ts";

/**
 * Refuses what is under the name of a virtual machine that is being made and bears another transaction's
 * mark, such as the domain of a virtual machine that an older database knew.
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
