import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { put } from "../../../datastore/collection.ts";
import { type Datastore, merge } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import {
  type CreateJoinTokenRequest,
  type CreateJoinTokenResponse,
  CreateJoinTokenResponseSchema,
  type JoinTokenSchema,
} from "../../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { N0Error, notFound } from "../../../util/errors.ts";
import { askerOf } from "../../core/asker.ts";
import { changeEvent } from "../../core/audit-event/change.ts";
import type { Call } from "../../core/context.ts";
import type { Api } from "../context.ts";
import { hashOfSecret, type JoinTokenRecord, joinTokens, revokedKeys } from "./collection.ts";

const SECRET_BYTES = 24;
const EXPIRES_IN_MS = 3_600_000;
const TOKENS_MAX = 1_000;
const ID_LENGTH = 12;

/** @throws N0Error `failed_precondition` if no agent could join; `resource_exhausted`. */
export async function createJoinToken(
  api: Api,
  call: Call,
  { nodeName, expiresIn }: CreateJoinTokenRequest,
): Promise<CreateJoinTokenResponse> {
  const { apiEndpoint } = api.joining ?? {};
  const { fingerprint } = await authorityOf(api);
  if (!(apiEndpoint?.() ?? "").startsWith("https:")) throw noAuthority();
  const nowMs = api.clock.nowMs();
  await pruneJoinTokens(api.datastore, nowMs);
  if ((await api.records.list(joinTokens)).length >= TOKENS_MAX) {
    throw new N0Error(
      "resource_exhausted",
      `there are ${TOKENS_MAX} join tokens already: wait until some expire, or revoke some`,
    );
  }
  const secret = api.random.token(SECRET_BYTES);
  const hash = hashOfSecret(secret);
  const expiresAtMs = nowMs + (expiresIn === undefined ? EXPIRES_IN_MS : durationMs(expiresIn));
  const record: JoinTokenRecord = { nodeName, createdAtMs: nowMs, expiresAtMs };
  const event = changeEvent(api, askerOf(call), "CreateJoinToken", `join_token/${idOf(hash)}`);
  await api.datastore.batch(merge(put(joinTokens, [hash], record), event));
  return create(CreateJoinTokenResponseSchema, {
    joinToken: toWire(hash, record),
    token: `${secret}.${fingerprint}`,
    apiEndpoint: apiEndpoint?.() ?? "",
  });
}

export async function listJoinTokens(api: Api) {
  const nowMs = api.clock.nowMs();
  const stored = (await api.records.list(joinTokens)).filter(
    ({ value }) => value.expiresAtMs > nowMs,
  );
  return { joinTokens: stored.map(({ key, value }) => toWire(joinTokens.parts(key)[0]!, value)) };
}

/** @throws N0Error `not_found`. */
export async function revokeJoinToken(api: Api, call: Call, id: string): Promise<void> {
  const named = ({ key }: Stored<JoinTokenRecord>) => idOf(joinTokens.parts(key)[0]!) === id;
  const found = (await api.records.list(joinTokens)).find(named);
  if (found === undefined) throw notFound("join token", id);
  const event = changeEvent(api, askerOf(call), "RevokeJoinToken", `join_token/${id}`);
  await api.datastore.batch(merge({ deletes: [found.key] }, event));
}

/** The certificate authority. @throws N0Error `failed_precondition` if this API has none. */
export async function authorityOf({ joining }: Api) {
  if (joining === undefined) throw noAuthority();
  return await joining.authority();
}

function noAuthority(): N0Error {
  return new N0Error(
    "failed_precondition",
    "nodes cannot join this API, because it listens without TLS: start it with the --bind-address that its " +
      "nodes reach, and without --insecure",
  );
}

/** Deletes the tokens and the revocations that expired before `beforeMs`. */
export async function pruneJoinTokens(datastore: Datastore, beforeMs: number): Promise<void> {
  const tokens = (await datastore.list(joinTokens.prefix)).filter(
    ({ value }) => joinTokens.decode(value).expiresAtMs <= beforeMs,
  );
  const keys = (await datastore.list(revokedKeys.prefix)).filter(
    ({ value }) => revokedKeys.decode(value).untilMs <= beforeMs,
  );
  const deletes = [...tokens, ...keys].map(({ key }) => key);
  if (deletes.length > 0) await datastore.batch({ deletes });
}

function toWire(
  hash: string,
  { nodeName, createdAtMs, expiresAtMs, used }: JoinTokenRecord,
): MessageInitShape<typeof JoinTokenSchema> {
  return {
    id: idOf(hash),
    nodeName,
    createdAt: timestampFromMs(createdAtMs),
    expiresAt: timestampFromMs(expiresAtMs),
    usedBy: used?.nodeName ?? "",
  };
}

function idOf(hash: string): string {
  return hash.slice(0, ID_LENGTH);
}
