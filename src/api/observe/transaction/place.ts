import { refOfKey } from "../../../datastore/key.ts";
import { type Caller, callerOf } from "../../../rpc/caller.ts";
import type { TransactionHeader } from "../../../transaction/journal.ts";
import { notFound } from "../../../util/errors.ts";
import { levelOf, type Ref, SYSTEM_SCOPE } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { DOMAIN_SCOPE } from "../../core/scope.ts";
import { whereOf } from "../../core/where.ts";
import { formatPlace, type Place, parsePlace, SYSTEM } from "../../iam/access/place.ts";
import type { Api } from "../../provisioning/context.ts";

type About = Pick<TransactionHeader, "guards" | "asker" | "startedAtMs">;

/**
 * Where a transaction belongs, by the objects whose keys it holds. One that also concerns the system, such as
 * a node with everything on it, is the system's. One of two projects, such as of a disk from a shared image, is
 * that of its request.
 */
export function placeOfTransaction({ guards, asker }: Omit<About, "startedAtMs">): Place {
  const refs = guards.map(refOfKey).filter((ref) => ref !== undefined);
  if (refs.some(({ scope }) => scope === SYSTEM_SCOPE)) return SYSTEM;
  const projects = scopesOf(refs, "project");
  const [first] = projects;
  if (first !== undefined) {
    const { project = "" } = asker ?? {};
    if (projects.size === 1) return { kind: "project", name: first };
    return projects.has(project) ? { kind: "project", name: project } : SYSTEM;
  }
  const [domain, ...others] = scopesOf(refs, "domain");
  return domain === undefined || others.length > 0 ? SYSTEM : { kind: "domain", name: domain };
}

function scopesOf(refs: readonly Ref[], level: "project" | "domain"): ReadonlySet<string> {
  const all = refs.map(({ kind, scope }) =>
    // A role binding of a domain.
    scope.startsWith(DOMAIN_SCOPE)
      ? { level: "domain", name: scope.slice(DOMAIN_SCOPE.length) }
      : { level: levelOf(kind), name: scope },
  );
  return new Set(all.filter((one) => one.level === level).map(({ name }) => name));
}

/** What a caller may do with a transaction. */
export type Verb = "get" | "list" | "watch" | "cancel" | "retry";

/**
 * Whether the caller may do this with the transaction, wherever it belongs. One that belongs to no project is
 * also that of the principal who began it. One of a project that is gone is only for who may see the system,
 * even if another project has its name now.
 */
function mayTouch(api: Pick<Api, "grants">, call: Call, verb: Verb, about: About): boolean {
  if (call.values === undefined) return true;
  const caller = callerOf(call.values);
  const place = placeOfTransaction(about);
  if (place.kind !== "project" && isOwn(api, caller, about)) return true;
  const at = api.grants.isFormer(place, about.startedAtMs) ? SYSTEM : place;
  return api.grants.allows(caller, { resource: "transaction", verb }, at);
}

/** @throws N0Error `not_found` for a transaction that does not exist for the caller. */
export function throwUnlessTouchable(
  api: Pick<Api, "grants">,
  call: Call,
  verb: Verb,
  header: About & Pick<TransactionHeader, "id">,
): void {
  if (!mayTouch(api, call, verb, header)) throw notFound("transaction", header.id);
}

/**
 * Whether a list or a watch at the place of the call shows the transaction. In a project it shows also those
 * that belong to no project, if the caller may see them.
 */
export function isShown(api: Pick<Api, "grants">, call: Call, about: About): boolean {
  const place = placeOfTransaction(about);
  const isVisible = () => mayTouch(api, call, "list", about);
  return isOfPlace(api, call, { place, atMs: about.startedAtMs }, isVisible);
}

/** Where and when something happened. */
interface Happened {
  readonly place: Place;
  readonly atMs: number;
}

/**
 * Whether a list at the place of the call shows what happened at `place`. An earlier project or domain of the same
 * name is another place, which only the system has.
 *
 * @param isVisible Whether the caller may see it, asked only if it belongs to no project.
 */
export function isOfPlace(
  { grants }: Pick<Api, "grants">,
  call: Call,
  { place, atMs }: Happened,
  isVisible: () => boolean,
): boolean {
  const at = parsePlace(whereOf(call.values).place) ?? SYSTEM;
  if (at.kind === "system") return true;
  if (grants.isFormer(place, atMs)) return false;
  if (formatPlace(place) === formatPlace(at)) return true;
  if (place.kind !== "project") return isVisible();
  return at.kind === "domain" && grants.domainOf(place.name) === at.name;
}

function isOwn({ grants }: Pick<Api, "grants">, caller: Caller, about: About): boolean {
  const { principal, limit } = caller;
  if (limit !== undefined || about.asker?.principal !== principal) return false;
  return !grants.isFormerPrincipal(principal, about.startedAtMs);
}
