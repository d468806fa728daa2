import { create } from "@bufbuild/protobuf";
import { unreferenced } from "../../../datastore/references.ts";
import {
  type CreateServiceAccountRequest,
  type CreateServiceAccountResponse,
  CreateServiceAccountResponseSchema,
  type DeleteServiceAccountResponse,
  DeleteServiceAccountResponseSchema,
  ServiceAccountService,
} from "../../../gen/n0stack/iam/v1alpha1/service_account_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { formatRef } from "../../../util/ref.ts";
import type { Api, Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { belongingsOf, removeBelongings } from "../role-binding/with-others.ts";
import { serviceAccounts } from "./collection.ts";

/** @throws N0Error `already_exists`. */
export async function createServiceAccount(
  api: Api,
  call: Call,
  { name, annotations, labels, description }: CreateServiceAccountRequest,
): Promise<CreateServiceAccountResponse> {
  const ref = refOf(call, serviceAccounts, name);
  const method = ServiceAccountService.method.createServiceAccount;
  return await runSaga(api, call, { method, keys: [serviceAccounts.key(ref)] }, async (tx) => {
    if ((await api.records.find(serviceAccounts, ref)) !== undefined) {
      throw new N0Error("already_exists", `service account "${name}" exists already`, {
        resource: formatRef(ref),
      });
    }
    const answer = create(CreateServiceAccountResponseSchema, {
      serviceAccount: { name, annotations, labels, description, project: ref.scope },
    });
    const account = answer.serviceAccount!;
    return await tx.answer(answer, tx.context.held.put(serviceAccounts, ref, account, undefined));
  });
}

/** Deletes it with its role bindings and tokens. @throws N0Error `not_found`. */
export async function deleteServiceAccount(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteServiceAccountResponse> {
  const ref = refOf(call, serviceAccounts, name);
  const keys = async () => [
    serviceAccounts.key(ref),
    ...(await belongingsOf(api, ref)).map(({ stored }) => stored.key),
  ];
  const method = ServiceAccountService.method.deleteServiceAccount;
  return await runSaga(api, call, { method, keys }, async (tx) => {
    const stored = await api.records.find(serviceAccounts, ref);
    if (stored === undefined) throw notFound("service account", name);
    const nobodyRefers = await unreferenced(api.records, ref);
    const { held } = tx.context;
    const alone = removeBelongings(held, await belongingsOf(api, ref));
    const removed = held.remove(serviceAccounts, ref, stored.value);
    const answer = create(DeleteServiceAccountResponseSchema);
    return await tx.answer(answer, removed, nobodyRefers, alone);
  });
}
