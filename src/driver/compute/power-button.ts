import { N0Error } from "../../util/errors.ts";
import { ownerOnNode } from "../../util/ref.ts";
import { isPaused } from "./active.ts";
import type { DomainState } from "./domain.ts";

/**
 * Refuses to press the power button of a guest whose processors are stopped. libvirt would not press it, or the
 * guest would notice it much later, when it runs again.
 *
 * @throws N0Error `failed_precondition`
 */
export function refuseDeaf(name: string, state: DomainState): void {
  if (!isPaused(state)) return;
  throw new N0Error(
    "failed_precondition",
    `virtual machine "${name}" is paused and cannot hear the power button: boot it first, or use hard`,
    { resource: ownerOnNode("virtual_machine", name) },
  );
}
