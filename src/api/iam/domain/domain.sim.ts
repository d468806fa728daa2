import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { DomainService } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  CreateDomain: call(
    0.4,
    (view) => ({ name: view.choose([], namesOf("domain")) }),
    (c, request, options) => c.client(DomainService).createDomain(request, options),
  ),
  DeleteDomain: call(
    0.4,
    (view) => ({ name: view.choose([], namesOf("domain")) }),
    (c, request, options) => c.client(DomainService).deleteDomain(request, options),
  ),
};
