import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { referrersOf } from "../../../datastore/references.ts";
import {
  type CreateDomainRequest,
  type CreateDomainResponse,
  CreateDomainResponseSchema,
  type DeleteDomainResponse,
  DeleteDomainResponseSchema,
  Domain_State,
  DomainService,
} from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { DEFAULT_SCOPE, formatRef, levelOf, type Ref } from "../../../util/ref.ts";
import type { Api, Call } from "../../core/context.ts";
import { quotaOfDomain, quotaRef, quotas } from "../../core/quota/collection.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { DOMAIN_SCOPE } from "../../core/scope.ts";
import { objectsIn, removeQuota, throwIfHolds } from "../contents.ts";
import { ownerRef, refuseDefault, throwUnlessOwnerName } from "../owner.ts";
import { projects } from "../project/collection.ts";
import { bindingsIn, bindingsOf, removeBindings } from "../role-binding/with-others.ts";
import { domains } from "./collection.ts";
import { closed, domainSteps, getDomain } from "./record.ts";

/** @throws N0Error `invalid_argument`; `already_exists`. */
export async function createDomain(
  api: Api,
  call: Call,
  { name, annotations, labels, description }: CreateDomainRequest,
): Promise<CreateDomainResponse> {
  throwUnlessOwnerName(name);
  const ref = ownerRef(domains.kind, name);
  const options = { method: DomainService.method.createDomain, keys: [domains.key(ref)] };
  return await runSaga(api, call, options, async (tx) => {
    if ((await api.records.find(domains, ref)) !== undefined) {
      throw new N0Error("already_exists", `domain "${name}" exists already`, {
        resource: formatRef(ref),
      });
    }
    const about = { name, annotations, labels, description };
    const createdAt = timestampFromMs(api.clock.nowMs());
    const answer = create(CreateDomainResponseSchema, {
      domain: { ...about, state: Domain_State.AVAILABLE, createdAt },
    });
    return await tx.answer(answer, tx.context.held.put(domains, ref, answer.domain!, undefined));
  });
}

/**
 * Deletes a domain without projects and users, with the role bindings in it and those of its groups. It
 * closes first, like a project.
 *
 * @throws N0Error `not_found`; `failed_precondition` for the domain `default`, and for one that holds
 * anything.
 */
export async function deleteDomain(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteDomainResponse> {
  const ref = ownerRef(domains.kind, name);
  const bindings = async () => [
    ...(await bindingsIn(api, `${DOMAIN_SCOPE}${name}`)),
    ...(await bindingsOf(api, ref)),
  ];
  const quotaName = quotaOfDomain(name);
  const ownKeys = [domains.key(ref), quotas.key(quotaRef(quotaName))];
  const keys = async () => [...ownKeys, ...(await bindings()).map(({ key }) => key)];
  const options = { method: DomainService.method.deleteDomain, keys };
  return await runSaga(api, call, options, async (tx) => {
    const domain = await getDomain(api, ref);
    if (name === DEFAULT_SCOPE) throw refuseDefault(ref);
    await throwUnlessEmpty(api, ref);
    const closedOne = closed(domain, tx.id);
    await domainSteps.replace(tx, ref, domain, closedOne);
    await throwUnlessEmpty(api, ref);
    const { held } = tx.context;
    const withoutBindings = removeBindings(held, await bindings());
    const withoutQuota = await removeQuota(api, held, quotaName);
    const removed = held.remove(domains, ref, closedOne);
    const answer = create(DeleteDomainResponseSchema);
    return await tx.answer(answer, removed, withoutBindings, withoutQuota);
  });
}

async function throwUnlessEmpty(api: Api, ref: Ref): Promise<void> {
  const within = await referrersOf(api.records, ref, { kind: projects.kind });
  throwIfHolds(ref, [
    { word: "project", names: within.map(({ name }) => name) },
    ...(await objectsIn(api, ref.name, (kind) => levelOf(kind) === "domain")),
  ]);
}
