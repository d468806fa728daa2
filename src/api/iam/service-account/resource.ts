import {
  ServiceAccountSchema,
  ServiceAccountService,
} from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import { serviceAccounts } from "./collection.ts";
import { createServiceAccount, deleteServiceAccount, withProject } from "./write.ts";

export const serviceAccount = defineResource({
  word: "service account",
  service: ServiceAccountService,
  schema: ServiceAccountSchema,
  collection: serviceAccounts,
  withProject,
  givesRoom: ["deleteServiceAccount"],
  routes: (api) => ({
    createServiceAccount: (request, call) => createServiceAccount(api, call, request),
    deleteServiceAccount: ({ name }, call) => deleteServiceAccount(api, call, name),
  }),
});
