import { jsonCollection } from "../../../datastore/collection.ts";
import type { Asker } from "../../../transaction/journal.ts";

/** What happened, without the time. It is a `type`, so that a record can hold it. */
export type NewAuditEvent = {
  /** A `change` is not a transaction. */
  readonly kind: "change" | "sign_in" | "refusal";
  readonly asker: Asker;
  /** Where it belongs: "system", "domain/NAME" or "project/NAME". */
  readonly place: string;
  /** Of a change: the method, such as `CreateJoinToken`. */
  readonly rpc?: string;
  /** Of a refusal: the permission that the call needed. */
  readonly permission?: string;
  /** Of a refusal: why. */
  readonly reason?: string;
  /** Of a change: its object. Of a refusal: the user as whom somebody tried to sign in, or the hidden place. */
  readonly resource?: string;
  /** Of a sign-in: by what, such as `oidc`. */
  readonly credential?: string;
  /** Of a sign-in: until when it holds. */
  readonly expiresMs?: number;
};

/** The same event within one minute, counted. */
export type AuditEvent = NewAuditEvent & {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
};

/** By ids that sort by time, as those of transactions do. */
export const auditEvents = jsonCollection<AuditEvent>("audit_event");
