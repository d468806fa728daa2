import { NOBODY } from "../../rpc/caller.ts";
import type { Asker } from "../../transaction/journal.ts";
import { defined } from "../../util/defined.ts";
import { formatRef, type Ref } from "../../util/ref.ts";
import type { AuditEvents } from "../core/audit-event/audit-events.ts";
import { formatPlace } from "./access/place.ts";
import { homeOfPrincipal } from "./access/refused-calls.ts";

/** Somebody who signs in, or tries to. */
export interface SigningIn {
  readonly user: Ref;
  /** By what, such as `oidc`. */
  readonly credential: string;
  /** The address of the client. */
  readonly peer: string | undefined;
}

/** Notes that a user has signed in. @param expiresMs until when that holds. */
export function noteSignIn(
  events: Pick<AuditEvents, "note">,
  { user, credential, peer }: SigningIn,
  expiresMs?: number,
): void {
  const principal = formatRef(user);
  const place = formatPlace(homeOfPrincipal(principal));
  const asker = { principal, ...defined({ peer }) };
  events.note({ kind: "sign_in", asker, place, credential, ...defined({ expiresMs }) });
}

/** Notes that somebody who has not shown that he is the user could not sign in as the user. */
export function noteFailedSignIn(
  events: Pick<AuditEvents, "note">,
  { user, credential, peer }: SigningIn,
  reason: string,
): void {
  const asker = { principal: NOBODY.principal, ...defined({ peer }) };
  noteFailedProof(events, asker, { user, credential }, reason);
}

/** Notes that the asker could not show that he is the user. */
export function noteFailedProof(
  events: Pick<AuditEvents, "note">,
  asker: Asker,
  { user, credential }: Pick<SigningIn, "user" | "credential">,
  reason: string,
): void {
  const resource = formatRef(user);
  const place = formatPlace(homeOfPrincipal(resource));
  events.note({ kind: "refusal", asker, place, credential, reason, resource });
}
