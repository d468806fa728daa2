import type { Authenticate, Caller } from "../../../rpc/caller.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { Mirror } from "../../core/read/mirror.ts";
import type { Api } from "../context.ts";
import { newEnds } from "../ends.ts";
import { noteSignIn } from "../sign-in-events.ts";
import { claimName } from "./claim-name.ts";
import { subjectKey, subjects } from "./person.ts";
import type { OidcProvider, VerifiedToken } from "./provider.ts";
import { bindPerson, OIDC } from "./sign-in.ts";
import { newTokenVerifier } from "./verifier.ts";

const NOTED_MAX = 10_000;

export interface OidcAuthenticator extends Disposable {
  /** Finds the caller of a token of a provider; undefined for a token that is not a JSON Web Token. */
  readonly authenticate: Authenticate;
}

export async function openOidcAuthenticator(
  api: Api,
  providers: readonly OidcProvider[],
): Promise<OidcAuthenticator> {
  const bound = await Mirror.open(api.datastore, subjects);
  const verifier = newTokenVerifier(providers, api.clock, api.log);
  const domains = new Map(providers.map(({ issuer, domain }) => [issuer, domain]));
  const endAt = newEnds(api.clock, api.shutdown);
  /** A repeat of a token gives the same object. */
  const callers = new WeakMap<VerifiedToken, { readonly key: string; readonly caller: Caller }>();

  /** The expiry of the last token of each subject. A token is verified again when the keys change. */
  const noted = new Map<string, number>();

  function isNoted(key: string, expiresMs: number): boolean {
    if (noted.get(key) === expiresMs) return true;
    noted.delete(key);
    noted.set(key, expiresMs);
    if (noted.size > NOTED_MAX) noted.delete(noted.keys().next().value ?? "");
    return false;
  }

  async function find(token: string, peer: string | undefined): Promise<Caller> {
    const verified = await verifier.verify(token);
    const known = callers.get(verified);
    // An administrator may have deleted the user.
    if (known !== undefined && bound.get(known.key) !== undefined) return known.caller;
    const key = subjectKey(verified);
    const domain = domains.get(verified.issuer) ?? "";
    const user = bound.get(key)?.value.user ?? (await bindPerson(api, domain, verified, peer));
    if (known === undefined && !isNoted(key, verified.expiresMs)) {
      noteSignIn(api.auditEvents, { user, credential: OIDC, peer }, verified.expiresMs);
    }
    const caller = callerOf(user, verified.groups, endAt(verified.expiresMs));
    callers.set(verified, { key, caller });
    return caller;
  }

  return {
    authenticate: (token, peer) =>
      providers.length > 0 && token.split(".", 4).length === 3 ? find(token, peer) : undefined,
    [Symbol.dispose]: () => bound[Symbol.dispose](),
  };
}

function callerOf(user: Ref, groups: readonly string[], ended: AbortSignal): Caller {
  const names = groups.map(claimName).filter((name) => name !== undefined);
  return {
    principal: formatRef(user),
    groups: names.map((name) => formatRef({ kind: "group", scope: user.scope, name })),
    ended,
  };
}
