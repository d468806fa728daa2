import { clone, create } from "@bufbuild/protobuf";
import { type Quota, QuotaSchema } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { quotaRef, quotas } from "../../core/quota/collection.ts";
import type { Api } from "../../iam/context.ts";

/** The quota as it is set: without limits if nobody has set any. */
export async function findQuota(
  { records }: Pick<Api, "records">,
  name: string,
): Promise<Quota | undefined> {
  return (await records.find(quotas, quotaRef(name)))?.value;
}

export function newQuota(name: string): Quota {
  return create(QuotaSchema, { name });
}

/** The quota as clients see it: with what is used. */
export function toWire({ quotas }: Pick<Api, "quotas">, quota: Quota): Quota {
  const seen = clone(QuotaSchema, quota);
  seen.used = quotas.used(quota.name);
  return seen;
}
