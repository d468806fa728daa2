import type { ServiceImpl } from "@connectrpc/connect";
import type { AuditService } from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import type { Api } from "../../provisioning/context.ts";
import { listAuditEvents } from "./list.ts";

export function auditEventRoutes(api: Api): ServiceImpl<typeof AuditService> {
  return { listAuditEvents: (request, call) => listAuditEvents(api, call, request) };
}
