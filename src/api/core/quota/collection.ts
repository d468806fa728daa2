import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import { QuotaSchema } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { type Ref, SYSTEM_SCOPE } from "../../../util/ref.ts";

/** Their limits. What is used is added when a quota is read. */
export const quotas = protoCollection("quota", QuotaSchema);

/**
 * By quota. An API process rewrites it when it begins to grant. It grants on the condition that the record is
 * still the one that it wrote, so no two processes grant at the same time.
 */
export const quotaTurns = jsonCollection<Record<string, never>>("quota_turn");

/** The name of a project's quota. */
export function quotaOfProject(project: string): string {
  return `project/${project}`;
}

export function quotaOfDomain(domain: string): string {
  return `domain/${domain}`;
}

export function quotaRef(name: string): Ref {
  return { kind: quotas.kind, scope: SYSTEM_SCOPE, name };
}

/** Such as `project "acme"`. */
export function holderText(quotaName: string): string {
  const [kind = "", name = ""] = quotaName.split("/");
  return `${kind} "${name}"`;
}
