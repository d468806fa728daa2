import { defineAudit } from "../../core/audit/audit.ts";
import { sharedCodes } from "../../core/audit/codes.ts";
import { tracesOfNobody } from "../../core/audit/shared.ts";
import { answered, type View } from "../../core/audit/view.ts";
import type { Api } from "../context.ts";
import { interfaceAllocations } from "../interface/collection.ts";
import { codes } from "./audit/codes.ts";
import { compareInterfaces } from "./audit/interfaces.ts";
import { compareNamespaces } from "./audit/namespaces.ts";
import { compareNetworks } from "./audit/networks.ts";
import { compareSegments } from "./audit/segments.ts";
import { networks } from "./collection.ts";

/** Networks, their reservations, and their state on the nodes. */
export const networkAudit = defineAudit({
  codes: { ...codes, ...sharedCodes },
  async compare(view: View<Api>) {
    const segments = answered(view).flatMap(compareSegments);
    const namespaces = await Promise.all(answered(view).map(compareNamespaces));
    return [
      ...tracesOfNobody(view, interfaceAllocations, networks),
      ...compareInterfaces(view),
      ...compareNetworks(view),
      ...namespaces.flat(),
      ...segments,
    ];
  },
});
