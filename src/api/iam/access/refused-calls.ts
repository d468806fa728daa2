import type { HandlerContext } from "@connectrpc/connect";
import { type Access, AccessScope } from "../../../gen/n0stack/rules/v1alpha1/access_pb.ts";
import { callerOf, NOBODY } from "../../../rpc/caller.ts";
import type { OnRefused, RefusalReason } from "../../../rpc/door/refusals.ts";
import { N0Error } from "../../../util/errors.ts";
import { parseRef } from "../../../util/ref.ts";
import { askerOf } from "../../core/asker.ts";
import type { AuditEvents } from "../../core/audit-event/audit-events.ts";
import { whereOf } from "../../core/where.ts";
import { permissionText } from "./permission.ts";
import { formatPlace, type Place, parsePlace, SYSTEM } from "./place.ts";

/** Gets each error of a call, and notes the refusals among them. */
export type OnCallRefused = (reason: unknown, access: Access, context: HandlerContext) => void;

const HIDDEN = new WeakSet<N0Error>();

/** Marks the error of a place that does not exist for the caller. He cannot tell it from any other `not_found`. */
export function hidden(error: N0Error): N0Error {
  HIDDEN.add(error);
  return error;
}

/**
 * A missing permission is an event of the place where it is missing. A place that is hidden from the caller
 * does not learn who has asked for it: that is an event of the caller's own home.
 */
export function callRefusals(auditEvents: Pick<AuditEvents, "note">): OnCallRefused {
  return (reason, { resource, verb, scope }, context) => {
    // A public call itself notes who is refused: nobody has proven who he is.
    if (!(reason instanceof N0Error) || scope === AccessScope.PUBLIC) return;
    const isHidden = HIDDEN.has(reason);
    if (!isHidden && reason.kind !== "permission_denied") return;
    const { principal } = callerOf(context.values);
    const named = parsePlace(reason.facts.resource ?? "");
    const at = named ?? parsePlace(whereOf(context.values).place) ?? SYSTEM;
    // The call works nowhere yet.
    const { project: _, ...asker } = askerOf(context);
    const facts = { kind: "refusal", permission: permissionText({ resource, verb }) } as const;
    if (isHidden) {
      const place = formatPlace(homeOfPrincipal(principal));
      auditEvents.note({ ...facts, asker, place, reason: "hidden", resource: formatPlace(at) });
    } else {
      const project = at.kind === "project" ? { project: at.name } : {};
      const place = formatPlace(at);
      auditEvents.note({
        ...facts,
        asker: { ...asker, ...project },
        place,
        reason: "no permission",
      });
    }
  };
}

/** Where a principal belongs: a user to a domain, a service account to a project, others to the system. */
export function homeOfPrincipal(principal: string): Place {
  const ref = parseRef(principal);
  if (ref?.kind === "user") return { kind: "domain", name: ref.scope };
  return ref?.kind === "service_account" ? { kind: "project", name: ref.scope } : SYSTEM;
}

/** These say nothing of who called, or only that a program is faulty. */
const NOT_NOTED: readonly RefusalReason[] = ["request", "connections"];

/** Notes who was refused before a call began. */
export function doorRefusals(auditEvents: Pick<AuditEvents, "note">): OnRefused {
  return (reason, { peer }) => {
    if (NOT_NOTED.includes(reason)) return;
    const asker = { principal: NOBODY.principal, peer };
    auditEvents.note({ kind: "refusal", asker, place: formatPlace(SYSTEM), reason });
  };
}
