import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  RepairRequest,
  VerifyRequest,
  VerifyService,
} from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import type { Resource } from "../../core/resource/resource.ts";
import type { Api } from "../../provisioning/context.ts";
import { auditsOf } from "./audits.ts";
import { repairAll } from "./repair.ts";
import { verify } from "./verify.ts";

export function verifyRoutes(
  api: Api,
  resources: readonly Resource<Api>[],
): ServiceImpl<typeof VerifyService> {
  const audits = auditsOf(resources);
  return {
    verify: (request: VerifyRequest, call: HandlerContext) => verify(api, audits, call, request),
    repair: (request: RepairRequest, call: HandlerContext) => repairAll(api, audits, call, request),
  };
}
