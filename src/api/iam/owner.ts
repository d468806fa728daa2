import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { invalid, N0Error } from "../../util/errors.ts";
import { formatRef, levelOf, type Ref, SYSTEM_SCOPE } from "../../util/ref.ts";
import { quotas } from "../core/quota/collection.ts";
import type { Ownable } from "../core/resource/object.ts";
import { DOMAIN_SCOPE } from "../core/scope.ts";

/** The value of STATE_PENDING, of a project and of a domain. */
const PENDING = 1;

/** A project or a domain. */
export function ownerRef(kind: string, name: string): Ref {
  return { kind, scope: SYSTEM_SCOPE, name };
}

/** The project or the domain of an object; undefined for an object of the system. */
export function ownerOf({ kind, scope, name }: Ref): Ref | undefined {
  if (kind === quotas.kind) return ownerOfQuota(name);
  const level = levelOf(kind);
  if (level === "system" || scope === SYSTEM_SCOPE) return undefined;
  if (scope.startsWith(DOMAIN_SCOPE)) return ownerRef("domain", scope.slice(DOMAIN_SCOPE.length));
  return ownerRef(level, scope);
}

/** A quota belongs to the system, and goes with the project or domain that it limits. */
function ownerOfQuota(quotaName: string): Ref {
  const [kind = "", name = ""] = quotaName.split("/");
  return ownerRef(kind, name);
}

/** @throws N0Error `aborted` while a transaction deletes the project or domain. */
export function throwIfDeleted(ref: Ref, { state, transactionId }: Ownable): void {
  if (state !== PENDING) return;
  throw new N0Error(
    "aborted",
    `transaction ${transactionId} deletes ${ref.kind} "${ref.name}": try again to see whether it does`,
    { resource: formatRef(ref), retryAfterMs: 500 },
  );
}

/** A new installation has them, and calls that name no project work there. */
export function refuseDefault(ref: Ref): N0Error {
  return new N0Error(
    "failed_precondition",
    `${ref.kind} "${ref.name}" cannot be deleted: calls that name no project work there`,
    { resource: formatRef(ref) },
  );
}

/** @throws N0Error `invalid_argument` for a name that the rule of all names allows, and projects do not. */
export function throwUnlessOwnerName(name: string): void {
  if (name.includes(".")) throw invalid("name", 'must not contain "."');
}

/** What keeps when it was created, because another one can have its name later. */
export interface Created {
  readonly createdAt?: Timestamp | undefined;
}

/** Whether that was before it was created. An older version stored no time: then never. */
export function isBefore(atMs: number, one: Created | undefined): boolean {
  return one?.createdAt !== undefined && atMs < timestampMs(one.createdAt);
}
