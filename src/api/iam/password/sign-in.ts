import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type SignInRequest,
  type SignInResponse,
  SignInResponseSchema,
} from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { DEFAULT_SCOPE, formatRef, type Ref } from "../../../util/ref.ts";
import { peerOfCall } from "../../core/asker.ts";
import type { Call } from "../../core/context.ts";
import type { Api } from "../context.ts";
import { noteFailedSignIn, noteSignIn } from "../sign-in-events.ts";
import { withoutHash } from "../token/write.ts";
import { users } from "../user/collection.ts";
import { isCheap } from "./argon2.ts";
import { PASSWORD, passwords, WRONG_PASSWORD } from "./collection.ts";
import { openSession } from "./sessions.ts";

/**
 * Opens a session of the user whose password it is.
 *
 * @throws N0Error `unauthenticated`, also for a user who does not exist or has no password;
 * `resource_exhausted` after too many tries.
 */
export async function signIn(
  api: Api,
  call: Call,
  { domain, userName, password, secretSha256 }: SignInRequest,
): Promise<SignInResponse> {
  const user: Ref = { kind: users.kind, scope: domain || DEFAULT_SCOPE, name: userName };
  const rightHash = (await api.records.find(passwords, user))?.value.hash;
  const peer = peerOfCall(call);
  const isRight = await api.passwords.check({ user, password, peer }, rightHash);
  if (!isRight || rightHash === undefined) {
    noteFailedSignIn(api.auditEvents, { user, credential: PASSWORD, peer }, WRONG_PASSWORD);
    throw new N0Error("unauthenticated", "the user or the password is not right");
  }
  const newHash = isCheap(rightHash) ? await api.passwords.hash(password) : undefined;
  const token = await openSession(api, { user, secretSha256, rightHash, newHash });
  const expiresMs = token.expiresAt === undefined ? undefined : timestampMs(token.expiresAt);
  noteSignIn(api.auditEvents, { user, credential: PASSWORD, peer }, expiresMs);
  api.log.info("a user has signed in", { user: formatRef(user), tokenId: token.name, peer });
  return create(SignInResponseSchema, { token: withoutHash(token) });
}
