import { N0Error } from "../../util/errors.ts";
import { ownerOnNode } from "../../util/ref.ts";

/** The error for a guest that does not release a nic in time. */
export function guestKeepsNic(name: string, hardwareAddress: string, timeoutMs: number): N0Error {
  const seconds = Math.round(timeoutMs / 1000);
  return new N0Error(
    "failed_precondition",
    `the guest of virtual machine "${name}" has not released nic ${hardwareAddress} within ${seconds} s, and may do so later: try again when its operating system has booted, or shut it down first`,
    { resource: ownerOnNode("virtual_machine", name) },
  );
}
