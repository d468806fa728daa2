import { clone, create } from "@bufbuild/protobuf";
import { type Duration, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { remove } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import { referTo } from "../../../datastore/references.ts";
import {
  type CreateTokenRequest,
  type CreateTokenResponse,
  CreateTokenResponseSchema,
  type DeleteTokenResponse,
  DeleteTokenResponseSchema,
  type Token,
  TokenSchema,
  TokenService,
} from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { type Caller, callerOf, NOBODY } from "../../../rpc/caller.ts";
import { invalid, N0Error, notFound } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { throwUnlessAllowed } from "../access/guard.ts";
import { type Place, SYSTEM } from "../access/place.ts";
import type { Api } from "../context.ts";
import { ownerRef } from "../owner.ts";
import { throwUnlessGivable } from "../role/permissions.ts";
import { memberObject, memberText, wrongInMember } from "../role-binding/member.ts";
import { serviceAccounts } from "../service-account/collection.ts";
import { users } from "../user/collection.ts";
import { tokens, tokenUses } from "./collection.ts";
import { idOf } from "./text.ts";

const TOKENS_OF_PRINCIPAL_MAX = 100;
const EXPIRES_IN_MS = 90 * 24 * 3_600_000;

/**
 * Makes a token for the caller, or for somebody for whom he may make one. It never allows more than the
 * caller may do.
 *
 * @throws N0Error `already_exists`, `invalid_argument`, `permission_denied`, `not_found`.
 */
export async function createToken(
  api: Api,
  call: Call,
  request: CreateTokenRequest,
): Promise<CreateTokenResponse> {
  const { secretSha256, description, annotations, labels, expiresIn } = request;
  const name = idOf(secretSha256);
  const ref = ownerRef(tokens.kind, name);
  const caller = callerOfCall(call);
  const principal = principalOf(caller, request.principal);
  const own = limitsOf(api, caller, request);
  const isOwn = principal === caller.principal;
  const limits = isOwn ? own : limitsFor(api, call, ref, principal, own);
  const { createToken: method } = TokenService.method;
  const keys = [tokens.key(ref), ...keysOf(principal)];
  return await runSaga(api, call, { method, keys, waits: true }, async (tx) => {
    throwIfTooMany(api, principal);
    if ((await api.records.find(tokens, ref)) !== undefined) {
      throw new N0Error("already_exists", `token ${name} exists already: make another secret`, {
        resource: formatRef(ref),
      });
    }
    const principalStays = await stays(api, principal);
    const nowMs = api.clock.nowMs();
    const token = create(TokenSchema, {
      ...{ name, description, annotations, labels, principal, ...limits, secretSha256 },
      createdAt: timestampFromMs(nowMs),
      expiresAt: timestampFromMs(expiryOf(api, caller, isOwn, nowMs, expiresIn)),
      madeWith: caller.tokenId ?? "",
    });
    const answer = create(CreateTokenResponseSchema, { token: withoutHash(token) });
    return await tx.answer(
      answer,
      tx.context.held.put(tokens, ref, token, undefined),
      principalStays,
    );
  });
}

/** @throws N0Error `not_found`, also for a token that does not exist for the caller. */
export async function deleteToken(
  api: Api,
  call: Call,
  name: string,
): Promise<DeleteTokenResponse> {
  const ref = ownerRef(tokens.kind, name);
  const options = { method: TokenService.method.deleteToken, keys: [tokens.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const stored = await api.records.find(tokens, ref);
    if (stored === undefined || !mayChange(api, stored.value, callerOfCall(call), "delete")) {
      throw notFound("token", name);
    }
    const removed = tx.context.held.remove(tokens, ref, stored.value);
    return await tx.answer(create(DeleteTokenResponseSchema), removed, remove(tokenUses, ref));
  });
}

/**
 * Whether the token is the caller's own, or he may do this with it in its project or in the whole cloud. Who
 * calls with a limited token has no other one of his own: a leaked token must not lock out its owner.
 */
export function mayChange(
  { grants }: Api,
  { name, principal }: Pick<Token, "name" | "principal">,
  caller: Caller,
  verb: string,
): boolean {
  const isOwn =
    caller.limit === undefined ? principal === caller.principal : name === caller.tokenId;
  return isOwn || grants.allows(caller, { resource: "token", verb }, placeOf(principal));
}

export function withoutHash(token: Token): Token {
  const shown = clone(TokenSchema, token);
  shown.secretSha256 = new Uint8Array();
  return shown;
}

/** Those of one principal are counted one after the other. */
function keysOf(principal: string): string[] {
  const object = memberObject(principal);
  if (object === undefined) return [];
  return [object.kind === users.kind ? users.key(object) : serviceAccounts.key(object)];
}

/** @throws N0Error `resource_exhausted`. */
function throwIfTooMany({ tokens: live }: Api, principal: string): void {
  if (live.countOf(principal) < TOKENS_OF_PRINCIPAL_MAX) return;
  throw new N0Error(
    "resource_exhausted",
    `${principal} has ${TOKENS_OF_PRINCIPAL_MAX} tokens already: delete one with "n0cli token revoke"`,
  );
}

/** A token that somebody makes for himself with another one does not outlive that one, unless it is a session. */
function expiryOf(
  { tokens: live }: Api,
  { tokenId }: Caller,
  isOwn: boolean,
  nowMs: number,
  expiresIn: Duration | undefined,
): number {
  const asked = nowMs + (expiresIn === undefined ? EXPIRES_IN_MS : durationMs(expiresIn));
  const makersMs = isOwn && tokenId !== undefined ? live.endOfMadeMs(tokenId) : undefined;
  return Math.min(asked, makersMs ?? asked);
}

function callerOfCall({ values }: Call): Caller {
  return values === undefined ? NOBODY : callerOf(values);
}

function principalOf(caller: Caller, asked: string): string {
  if (asked === "" || asked === caller.principal) return caller.principal;
  const wrong = wrongInMember(asked);
  if (wrong !== undefined) throw invalid("principal", wrong);
  const member = memberText(asked);
  if (member.startsWith("group/")) throw invalid("principal", "a group cannot have a token");
  return member;
}

/** The limits of the new token: those of the caller's own, and those that he adds. */
function limitsOf(
  { grants }: Api,
  { limit }: Caller,
  { project, roles }: CreateTokenRequest,
): Limits {
  const unknown = roles.findIndex((role) => grants.role(role) === undefined);
  if (unknown >= 0) throw invalid(`roles[${unknown}]`, `role "${roles[unknown]}" does not exist`);
  const beyond = roles.findIndex((role) => limit?.roles?.includes(role) === false);
  if (beyond >= 0) {
    throw invalid(`roles[${beyond}]`, `your own token does not allow the role "${roles[beyond]}"`);
  }
  if (project !== "" && limit?.project !== undefined && project !== limit.project) {
    throw invalid("project", `your own token is limited to the project "${limit.project}"`);
  }
  return {
    project: limit?.project ?? project,
    roles: roles.length > 0 ? [...roles] : [...(limit?.roles ?? [])],
  };
}

interface Limits {
  readonly project: string;
  readonly roles: string[];
}

/**
 * The limits of a token for another principal. It works only where the caller may do the same himself: in the
 * whole cloud, or in the project of a service account.
 *
 * @throws N0Error `permission_denied` unless the caller has himself all that the token could do there.
 */
function limitsFor(api: Api, call: Call, token: Ref, principal: string, limits: Limits): Limits {
  const { roles } = limits;
  const at = placeOf(principal);
  throwUnlessAllowed(api.grants, callerOfCall(call), { resource: "token", verb: "create" }, at);
  const patterns = roles.flatMap((role) => api.grants.role(role)?.patterns ?? []);
  const given = roles.length === 0 ? ["*.*"] : patterns;
  throwUnlessGivable(api, call, token, given, at);
  if (at.kind !== "project" || api.grants.mayGive(callerOfCall(call), given, SYSTEM)) return limits;
  return { ...limits, project: at.name };
}

/**
 * Where somebody must be allowed to deal with the tokens of a principal. A user may have roles anywhere, a
 * service account mostly in its own project.
 */
function placeOf(principal: string): Place {
  const object = memberObject(principal);
  if (object?.kind !== serviceAccounts.kind) return SYSTEM;
  return { kind: "project", name: object.scope };
}

/** For the batch that writes the token: its principal is still there. @throws N0Error `not_found`. */
async function stays({ records }: Api, principal: string): Promise<Writes> {
  const object = memberObject(principal);
  if (object === undefined) return {};
  const of = object.kind === users.kind ? users : serviceAccounts;
  const stored = await records.find<unknown, Ref>(of, object);
  if (stored === undefined) throw notFound(object.kind.replace("_", " "), object.name);
  return merge(referTo(stored.key, stored.revision));
}
