import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Writes } from "../../../datastore/datastore.ts";
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
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api, Call, Tx } from "../../core/context.ts";
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
    const createdAt = timestampFromMs(api.clock.nowMs());
    const answer = create(CreateServiceAccountResponseSchema, {
      serviceAccount: { name, annotations, labels, description, project: ref.scope, createdAt },
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
  return await runSaga(api, call, { method, keys }, async (tx) =>
    tx.answer(create(DeleteServiceAccountResponseSchema), ...(await removal(api, tx, ref))),
  );
}

/** @throws N0Error `not_found`; `aborted` for a role binding or a token that has just been made. */
async function removal(api: Api, tx: Tx, ref: Ref): Promise<Writes[]> {
  const stored = await api.records.find(serviceAccounts, ref);
  if (stored === undefined) throw notFound("service account", ref.name);
  const { held } = tx.context;
  return [
    await unreferenced(api.records, ref),
    removeBelongings(held, await belongingsOf(api, ref)),
    held.remove(serviceAccounts, ref, stored.value),
  ];
}

export const withProject = {
  belongings: async (api: Api, ref: Ref) =>
    (await belongingsOf(api, ref)).map(({ stored }) => stored.key),
  async remove(api: Api, tx: Tx, refs: readonly Ref[]) {
    const writes: Writes[] = [];
    for (const ref of refs) writes.push(...(await removal(api, tx, ref)));
    return writes;
  },
};
