import { clone, create, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import {
  type DeleteQuotaResponse,
  DeleteQuotaResponseSchema,
  QuotaSchema,
  QuotaService,
  type SetDomainQuotaRequest,
  type SetDomainQuotaResponse,
  type SetDomainQuotaResponseSchema,
  type SetQuotaRequest,
  type SetQuotaResponse,
  type SetQuotaResponseSchema,
} from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { invalid, N0Error, notFound } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import type { Call } from "../../core/context.ts";
import { AMOUNTS, isAmountName } from "../../core/quota/amounts.ts";
import { quotaOfDomain, quotaOfProject, quotaRef, quotas } from "../../core/quota/collection.ts";
import { type Method, runSaga } from "../../core/saga/saga.ts";
import { whereOf } from "../../core/where.ts";
import type { Api } from "../../iam/context.ts";
import { findQuota, newQuota, toWire } from "./record.ts";

type Limits = Pick<SetQuotaRequest, "limits" | "unlimited">;

/** Changes limits of the project of the call. No limit removes an object. */
export async function setQuota(api: Api, call: Call, request: Limits): Promise<SetQuotaResponse> {
  const { method } = QuotaService;
  const { project } = whereOf(call.values);
  if (api.grants.domainOf(project) === undefined) {
    const message = `project "${project}" does not exist, so it gets no quota: name another one`;
    throw new N0Error("not_found", message, { resource: `project/${project}` });
  }
  const name = quotaOfProject(project);
  return await set(api, call, { method: method.setQuota, name, request });
}

/** @throws N0Error `not_found` for the domain. */
export async function setDomainQuota(
  api: Api,
  call: Call,
  { domain, ...request }: SetDomainQuotaRequest,
): Promise<SetDomainQuotaResponse> {
  const { method } = QuotaService;
  if (!api.grants.hasDomain(domain)) throw notFound("domain", domain);
  const name = quotaOfDomain(domain);
  return await set(api, call, { method: method.setDomainQuota, name, request });
}

async function set<O extends typeof SetQuotaResponseSchema | typeof SetDomainQuotaResponseSchema>(
  api: Api,
  call: Call,
  {
    method,
    name,
    request: { limits, unlimited },
  }: { readonly method: Method<O>; readonly name: string; readonly request: Limits },
): Promise<MessageShape<O>> {
  checkAmounts(limits, unlimited);
  const ref = quotaRef(name);
  const options = { method, keys: [quotas.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await findQuota(api, name);
    const quota = clone(QuotaSchema, before ?? newQuota(name));
    Object.assign(quota.limits, limits);
    for (const amount of unlimited) delete quota.limits[amount];
    const answer = create(method.output, { quota: toWire(api, quota) } as MessageInitShape<O>);
    return await tx.answer(answer, tx.context.held.put(quotas, ref, quota, before));
  });
}

/** @throws N0Error `not_found` if no quota was set. */
export async function deleteQuota(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteQuotaResponse> {
  const ref = quotaRef(name);
  const options = { method: QuotaService.method.deleteQuota, keys: [quotas.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    const quota = await findQuota(api, name);
    if (quota === undefined) throw notFound("quota", name);
    const answer = create(DeleteQuotaResponseSchema);
    return await tx.answer(answer, tx.context.held.remove(quotas, ref, quota));
  });
}

/** @throws N0Error `invalid_argument` for an amount that is unknown, or has a limit and none. */
function checkAmounts(limits: SetQuotaRequest["limits"], unlimited: readonly string[]): void {
  const known = AMOUNTS.join(", ");
  const rule = (name: string) => `${quote(name)} is not an amount: use one of ${known}`;
  for (const name of Object.keys(limits)) {
    if (!isAmountName(name)) throw invalid("limits", rule(name));
  }
  for (const [i, name] of unlimited.entries()) {
    if (!isAmountName(name)) throw invalid(`unlimited[${i}]`, rule(name));
    if (name in limits) throw invalid(`unlimited[${i}]`, `"${name}" is also in limits`);
  }
}
