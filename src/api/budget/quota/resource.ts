import { create } from "@bufbuild/protobuf";
import {
  type GetQuotaRequest,
  GetQuotaResponseSchema,
  QuotaSchema,
  QuotaService,
} from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import type { Call } from "../../core/context.ts";
import { quotaOfProject, quotas, quotaTurns } from "../../core/quota/collection.ts";
import { defineResource } from "../../core/resource/resource.ts";
import { whereOf } from "../../core/where.ts";
import type { Api } from "../../iam/context.ts";
import { findQuota, newQuota, toWire } from "./record.ts";
import { deleteQuota, setDomainQuota, setQuota } from "./write.ts";

export const quota = defineResource({
  word: "quota",
  service: QuotaService,
  schema: QuotaSchema,
  collection: quotas,
  traces: [quotaTurns],
  givesRoom: ["deleteQuota"],
  view: toWire,
  routes: (api: Api) => ({
    // In place of the derived one: without a quota there are no limits, and still a use.
    ...{ getQuota: (request: GetQuotaRequest, call: Call) => getQuota(api, call, request) },
    setQuota: (request, call) => setQuota(api, call, request),
    setDomainQuota: (request, call) => setDomainQuota(api, call, request),
    deleteQuota: ({ name }, call) => deleteQuota(api, call, name),
  }),
});

async function getQuota(api: Api, call: Call, request: GetQuotaRequest) {
  const name = request.name || quotaOfProject(whereOf(call.values).project);
  const found = (await findQuota(api, name)) ?? newQuota(name);
  return create(GetQuotaResponseSchema, { quota: toWire(api, found) });
}
