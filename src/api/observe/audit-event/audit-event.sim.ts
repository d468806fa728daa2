import { type CallKind, read } from "../../../../test/sim/call-kind.ts";
import { AuditService } from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  ListAuditEvents: read(
    0.5,
    (view) => ({ pageSize: view.dice.chance(0.5) ? 10 : 0 }),
    (c, request, options) => c.client(AuditService).listAuditEvents(request, options),
  ),
};
