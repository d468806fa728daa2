import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { ServiceAccountService } from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import { serviceAccounts } from "./collection.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  CreateServiceAccount: call(
    0.5,
    (view) => ({ name: view.choose([], namesOf("account")) }),
    (c, request, options) => c.client(ServiceAccountService).createServiceAccount(request, options),
  ),
  DeleteServiceAccount: call(
    0.4,
    (view) => ({ name: view.object(serviceAccounts, namesOf("account")) }),
    (c, request, options) => c.client(ServiceAccountService).deleteServiceAccount(request, options),
  ),
};
