import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { keyText } from "../../../datastore/key.ts";
import {
  type AuditEvent,
  AuditEvent_Kind,
  AuditEventSchema,
} from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { Phase } from "../../../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import type { PendingEvent } from "../../core/audit-event/audit-events.ts";
import { formatPlace } from "../../iam/access/place.ts";
import { placeOfTransaction } from "../transaction/place.ts";
import { askerToWire, PHASE_OF } from "../transaction/view.ts";

/** A transaction, or an event that is none. */
export type Row =
  | { readonly id: string; readonly header: TransactionHeader }
  | (PendingEvent & { readonly header?: undefined });

const KIND_OF = {
  change: AuditEvent_Kind.CHANGE,
  sign_in: AuditEvent_Kind.SIGN_IN,
  refusal: AuditEvent_Kind.REFUSAL,
};

export function kindOf(row: Row): AuditEvent_Kind {
  return row.header === undefined ? KIND_OF[row.event.kind] : AuditEvent_Kind.CHANGE;
}

export function changeToWire(header: TransactionHeader): AuditEvent {
  const { id, kind, asker, guards, state, startedAtMs, finishedAtMs, cancel } = header;
  return create(AuditEventSchema, {
    id,
    kind: AuditEvent_Kind.CHANGE,
    time: timestampFromMs(startedAtMs),
    asker: askerToWire(asker),
    place: formatPlace(placeOfTransaction(header)),
    rpc: kind,
    resources: guards.map(keyText),
    phase: PHASE_OF[state],
    error: header.reason ?? header.error ?? "",
    count: 1,
    ...(cancel === undefined ? {} : { cancelledBy: askerToWire(cancel.asker) }),
    ...(finishedAtMs === undefined ? {} : { lastTime: timestampFromMs(finishedAtMs) }),
  });
}

export function eventToWire({ id, event }: PendingEvent): AuditEvent {
  const { kind, asker, place, rpc, resource, permission, reason, credential, expiresMs } = event;
  return create(AuditEventSchema, {
    id,
    kind: KIND_OF[kind],
    time: timestampFromMs(event.firstMs),
    asker: askerToWire(asker),
    place,
    rpc: rpc ?? "",
    ...(kind === "change" ? { phase: Phase.DONE } : {}),
    resources: resource === undefined ? [] : [resource],
    permission: permission ?? "",
    reason: reason ?? "",
    credential: credential ?? "",
    count: event.count,
    lastTime: timestampFromMs(event.lastMs),
    ...(expiresMs === undefined ? {} : { expiresAt: timestampFromMs(expiresMs) }),
  });
}
