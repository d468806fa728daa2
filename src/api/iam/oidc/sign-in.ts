import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createContextValues } from "@connectrpc/connect";
import { putNew } from "../../../datastore/collection.ts";
import { merge } from "../../../datastore/datastore.ts";
import { User_UserState, UserSchema } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { setCaller } from "../../../rpc/caller.ts";
import { N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runUnanswered } from "../../core/saga/saga.ts";
import type { Api } from "../context.ts";
import { noteFailedSignIn } from "../sign-in-events.ts";
import { users } from "../user/collection.ts";
import { claimName } from "./claim-name.ts";
import { people, subjectKey, subjects } from "./person.ts";
import type { VerifiedToken } from "./provider.ts";

/** Of the events. */
export const OIDC = "oidc";

/**
 * Binds a person to the user of that name, at the first sign-in, and makes the user if there is none. From
 * then on the person is that user, also under another name at the issuer, and nobody else is.
 *
 * @throws N0Error `unauthenticated` if the user is another person, or the name cannot be a user's.
 */
export async function bindPerson(
  api: Api,
  domain: string,
  token: VerifiedToken,
  peer?: string,
): Promise<Ref> {
  const user = userOf(api, domain, token);
  const { issuer, subject } = token;
  const hash = subjectKey(token);
  const options = { kind: "SignIn", keys: [users.key(user)], waits: true };
  return await runUnanswered(api, callOf(api, user), options, async (tx) => {
    const bound = await api.records.find(subjects, hash);
    if (bound !== undefined) {
      await tx.commit({});
      return bound.value.user;
    }
    const other = await api.records.find(people, user);
    if (other !== undefined) {
      noteFailedSignIn(api.auditEvents, { user, credential: OIDC, peer }, "another person");
      throw takenBy(user, other.value.issuer);
    }
    const isNew = (await api.records.find(users, user)) === undefined;
    const state = User_UserState.AVAILABLE;
    const createdAt = timestampFromMs(api.clock.nowMs());
    const made = create(UserSchema, { name: user.name, state, createdAt });
    await tx.commit(
      merge(
        putNew(people, [user], { issuer, subject }),
        putNew(subjects, [hash], { user }),
        isNew ? tx.context.held.put(users, user, made, undefined) : {},
      ),
    );
    api.log.info("a person has signed in for the first time", { user: formatRef(user), issuer });
    return user;
  });
}

function userOf(api: Api, domain: string, { userName, issuer }: VerifiedToken): Ref {
  if (!api.grants.hasDomain(domain)) {
    throw refused(`domain "${domain}" does not exist, and people of ${issuer} belong to it`);
  }
  const name = claimName(userName);
  if (name !== undefined) return { kind: users.kind, scope: domain, name };
  throw refused(
    `the user name ${quote(userName)} is too long for the name of a user: ` +
      "let the operator choose another claim with --oidc-user-claim",
  );
}

function takenBy(user: Ref, issuer: string): N0Error {
  return refused(
    `${formatRef(user)} is another person at ${issuer}: an administrator can delete that user, ` +
      "or the provider can give you another name",
  );
}

function refused(message: string): N0Error {
  return new N0Error("unauthenticated", message);
}

/** The person signs in by an ordinary request, so nobody waits for the transaction itself. */
function callOf(api: Api, user: Ref): Call {
  const values = createContextValues();
  setCaller(values, { principal: formatRef(user), groups: [] });
  const headers = { requestHeader: new Headers(), responseHeader: new Headers() };
  return { signal: api.shutdown, values, ...headers };
}
