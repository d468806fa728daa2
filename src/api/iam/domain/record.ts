import { clone } from "@bufbuild/protobuf";
import {
  type Domain,
  Domain_State,
  DomainSchema,
} from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { notFound } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Reader } from "../../core/context.ts";
import { recordSteps } from "../../core/saga/record-steps.ts";
import { domains } from "./collection.ts";

export const domainSteps = recordSteps(domains);

/** @throws N0Error `not_found`. */
export async function getDomain({ records }: Reader, ref: Ref): Promise<Domain> {
  const stored = await records.find(domains, ref);
  if (stored === undefined) throw notFound("domain", ref.name);
  return stored.value;
}

/** The domain as the transaction that deletes it leaves it until then. It takes no new objects. */
export function closed(domain: Domain, transactionId: string): Domain {
  const copy = clone(DomainSchema, domain);
  copy.state = Domain_State.PENDING;
  copy.transactionId = transactionId;
  return copy;
}
