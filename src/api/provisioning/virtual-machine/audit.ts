import { defineAudit } from "../../core/audit/audit.ts";
import { sharedCodes } from "../../core/audit/codes.ts";
import { answered, onceIn, type View } from "../../core/audit/view.ts";
import type { Api } from "../context.ts";
import { codes } from "./audit/codes.ts";
import { compareDomains } from "./audit/domains.ts";
import { interfaceUser } from "./audit/interfaces.ts";
import { compareReferences } from "./audit/references.ts";
import { compareReservations } from "./audit/reservations.ts";
import { compareTaps } from "./audit/taps.ts";
import { groupMachines, withMachines } from "./audit/view.ts";
import { seedMessage } from "./domain/domain-messages.ts";

/** Virtual machines, their reservations, and their state on the nodes. */
export const virtualMachineAudit = defineAudit({
  codes: { ...codes, ...sharedCodes },
  async compare(view: View<Api>) {
    const nodes = answered(await withMachines(view));
    return [
      ...compareReferences(view),
      ...compareReservations(view),
      ...nodes.flatMap(compareDomains),
      ...nodes.flatMap(compareTaps),
    ];
  },
  /** The expected seeds. The node says whether they are the same there. */
  async question(view, nodeName) {
    const machines = (await onceIn(view, groupMachines)).get(nodeName) ?? [];
    const seeds = machines.flatMap(({ plan }) =>
      plan === undefined ? [] : [{ seed: seedMessage(plan.seed) }],
    );
    return { seeds };
  },
  interfaces: interfaceUser,
});
