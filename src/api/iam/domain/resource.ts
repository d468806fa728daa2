import {
  Domain_State,
  DomainSchema,
  DomainService,
} from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { domains } from "./collection.ts";
import { domainSteps } from "./record.ts";
import { createDomain, deleteDomain } from "./write.ts";

export const domain = defineResource({
  word: "domain",
  service: DomainService,
  schema: DomainSchema,
  collection: domains,
  pending: Domain_State.PENDING,
  givesRoom: ["deleteDomain"],
  steps: { steps: [domainSteps.put] },
  isVisible: (api: Api, { name }, caller) => api.grants.sees(caller, { kind: "domain", name }),
  routes: (api) => ({
    createDomain: (request, call) => createDomain(api, call, request),
    deleteDomain: ({ name }, call) => deleteDomain(api, call, name),
  }),
});
