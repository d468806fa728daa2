import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  RepairRequest,
  VerifyRequest,
  VerifyService,
} from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import type { Api } from "../../provisioning/context.ts";
import { repairAll } from "./repair.ts";
import { verify } from "./verify.ts";

export function verifyRoutes(api: Api): ServiceImpl<typeof VerifyService> {
  return {
    verify: (request: VerifyRequest, call: HandlerContext) => verify(api, call, request),
    repair: (request: RepairRequest, call: HandlerContext) => repairAll(api, call, request),
  };
}
