import type { Datastore, Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Domain } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import type { Project } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import type { RoleBinding } from "../../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import type { Role } from "../../../gen/n0stack/iam/v1alpha1/role_pb.ts";
import { ADMINISTRATOR, type Caller } from "../../../rpc/caller.ts";
import { notFound } from "../../../util/errors.ts";
import { parseRef, type Ref } from "../../../util/ref.ts";
import { Mirror } from "../../core/read/mirror.ts";
import { domains } from "../domain/collection.ts";
import { grantsByRule, type RoleRule } from "../oidc/role-rule.ts";
import { type Created, isBefore, ownerOf, ownerRef, throwIfDeleted } from "../owner.ts";
import { projects } from "../project/collection.ts";
import { roles } from "../role/collection.ts";
import { roleBindings } from "../role-binding/collection.ts";
import { serviceAccounts } from "../service-account/collection.ts";
import { users } from "../user/collection.ts";
import { builtInRole } from "./built-in-roles.ts";
import { PermissionCatalog } from "./catalog.ts";
import { type Permission, PermissionSet } from "./permission.ts";
import { type Place, parsePlace } from "./place.ts";

/** A role that somebody has at a place. */
export interface Grant {
  readonly place: Place;
  readonly role: string;
  /** The caller, or the group through which he has it. */
  readonly member: string;
  /** The name of the role binding that gives it; undefined if a rule does. */
  readonly binding?: string;
}

/**
 * Who may do what: the projects, roles and role bindings, in memory, because every request asks. A change
 * takes effect for the next request.
 */
export class Grants implements Disposable {
  readonly #mirrors = new DisposableStack();
  readonly #byMember = new Map<string, Map<string, Grant>>();
  readonly #ownRoles = new Map<string, PermissionSet>();
  readonly #rules: readonly RoleRule[];
  readonly #listeners = new Set<() => void>();
  #isTelling = false;
  /** The permissions that there are. */
  readonly catalog = new PermissionCatalog();
  #domains!: Mirror<Domain>;
  #projects!: Mirror<Project>;
  /** By kind. */
  readonly #principals = new Map<string, Mirror<Created>>();

  private constructor(rules: readonly RoleRule[]) {
    this.#rules = rules;
  }

  /** @param rules Roles of groups, besides those of role bindings. */
  static async open(datastore: Datastore, rules: readonly RoleRule[] = []): Promise<Grants> {
    const grants = new Grants(rules);
    const { use } = grants.#mirrors;
    const keep = use.bind(grants.#mirrors);
    const onPlace = () => grants.#tell();
    grants.#domains = keep(await Mirror.open(datastore, domains, onPlace)) as Mirror<Domain>;
    grants.#projects = keep(await Mirror.open(datastore, projects, onPlace)) as Mirror<Project>;
    for (const each of [users, serviceAccounts]) {
      grants.#principals.set(each.kind, keep(await Mirror.open<Created>(datastore, each)));
    }
    const onRole = (_key: string, before?: Stored<Role>, after?: Stored<Role>) => {
      grants.#tell();
      if (before !== undefined) grants.#ownRoles.delete(before.value.name);
      if (after === undefined) return;
      grants.#ownRoles.set(after.value.name, new PermissionSet(after.value.permissions));
    };
    keep(await Mirror.open(datastore, roles, onRole));
    const onBinding = (key: string, before?: Stored<RoleBinding>, after?: Stored<RoleBinding>) => {
      grants.#tell();
      if (before !== undefined) grants.#forget(before.value.member, key);
      if (after !== undefined) grants.#add(key, after.value);
    };
    keep(await Mirror.open(datastore, roleBindings, onBinding));
    return grants;
  }

  /** Calls `listener` soon after each change of who may do what. @returns a function that ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Once for all changes of a batch: between two of them, somebody may seem to lose a role. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      for (const listener of this.#listeners) listener();
    });
  }

  /** Undefined for a project that does not exist. */
  domainOf(project: string): string | undefined {
    return this.#projects.get(ownerRef(projects.kind, project))?.value.domain;
  }

  hasDomain(name: string): boolean {
    return this.#domains.get(ownerRef(domains.kind, name)) !== undefined;
  }

  /**
   * Whether what happened there at that time happened in an earlier project or domain of the same name, which has
   * been deleted since.
   */
  isFormer(place: Place, atMs: number): boolean {
    if (place.kind === "system") return false;
    const stored =
      place.kind === "domain"
        ? this.#domains.get(ownerRef(domains.kind, place.name))
        : this.#projects.get(ownerRef(projects.kind, place.name));
    return isBefore(atMs, stored?.value);
  }

  /** Whether what this principal did at that time was done by an earlier one of the same name. */
  isFormerPrincipal(principal: string, atMs: number): boolean {
    const ref = parseRef(principal);
    return ref !== undefined && isBefore(atMs, this.#principals.get(ref.kind)?.get(ref)?.value);
  }

  exists(place: Place): boolean {
    if (place.kind === "system") return true;
    return place.kind === "domain"
      ? this.hasDomain(place.name)
      : this.domainOf(place.name) !== undefined;
  }

  /**
   * For the batch that writes a new object: its project or domain is still there, and no transaction deletes
   * it. Neither record changes otherwise.
   *
   * @throws N0Error `not_found`, `aborted`.
   */
  readonly forNew = (ref: Ref): Writes => {
    const owner = ownerOf(ref);
    if (owner === undefined) return {};
    const mirror = owner.kind === domains.kind ? this.#domains : this.#projects;
    const stored = mirror.get(owner);
    if (stored === undefined) throw notFound(owner.kind, owner.name);
    throwIfDeleted(owner, stored.value);
    return { conditions: [{ key: stored.key, revision: stored.revision }] };
  };

  /** Whether the caller has the permission there. */
  allows(caller: Caller, permission: Permission, at: Place): boolean {
    return this.#allows(caller, at, (role) => role.has(permission));
  }

  /** Whether the caller has all permissions of the patterns there, so that he may give them to others. */
  mayGive(caller: Caller, patterns: readonly string[], at: Place): boolean {
    return patterns.every((pattern) => this.#allows(caller, at, (role) => role.includes(pattern)));
  }

  /** Whether the place exists for the caller: he has some role that holds there, or in a part of it. */
  sees(caller: Caller, at: Place): boolean {
    if (!isWithinLimit(caller, at)) return false;
    if (caller.principal === ADMINISTRATOR.principal) return true;
    for (const grant of this.#grantsOf(caller)) {
      if (this.#covers(grant.place, at) || this.#covers(at, grant.place)) return true;
    }
    return false;
  }

  /** What gives the caller the permission there. Undefined also for what needs no role. */
  grantOf(caller: Caller, permission: Permission, at: Place): Grant | undefined {
    for (const grant of this.#grantsOf(caller)) {
      const has = this.#is(grant.role, (role) => role.has(permission));
      if (has && this.#covers(grant.place, at)) return grant;
    }
    return undefined;
  }

  /** All roles of the caller, whatever his credential allows. */
  grantsOf(caller: Caller): readonly Grant[] {
    return [...this.#grantsOf(caller)];
  }

  /** The patterns of a role; undefined for a role that does not exist. */
  role(name: string): PermissionSet | undefined {
    return builtInRole(name) ?? this.#ownRoles.get(name);
  }

  [Symbol.dispose](): void {
    this.#mirrors.dispose();
  }

  #allows(caller: Caller, at: Place, suffices: (role: PermissionSet) => boolean): boolean {
    const { principal, limit } = caller;
    if (!isWithinLimit(caller, at)) return false;
    if (limit?.roles !== undefined && !limit.roles.some((name) => this.#is(name, suffices))) {
      return false;
    }
    if (principal === ADMINISTRATOR.principal) return true;
    for (const { place, role } of this.#grantsOf(caller)) {
      if (this.#covers(place, at) && this.#is(role, suffices)) return true;
    }
    return false;
  }

  #is(role: string, suffices: (role: PermissionSet) => boolean): boolean {
    const permissions = this.role(role);
    return permissions !== undefined && suffices(permissions);
  }

  *#grantsOf({ principal, groups }: Caller): Iterable<Grant> {
    yield* this.#byMember.get(principal)?.values() ?? [];
    for (const group of groups) yield* this.#byMember.get(group)?.values() ?? [];
    if (this.#rules.length > 0) for (const group of groups) yield* this.#grantsByRule(group);
  }

  *#grantsByRule(group: string): Iterable<Grant> {
    for (const { role, scope } of grantsByRule(this.#rules, group)) {
      const place = parsePlace(scope);
      if (place !== undefined) yield { place, role, member: group };
    }
  }

  #covers(wide: Place, narrow: Place): boolean {
    if (wide.kind === "system") return true;
    if (narrow.kind === "system") return false;
    if (wide.kind === narrow.kind) return wide.name === narrow.name;
    return wide.kind === "domain" && this.domainOf(narrow.name) === wide.name;
  }

  #add(key: string, { name, member, role, scope }: RoleBinding): void {
    const place = parsePlace(scope);
    if (place === undefined) return;
    const own = this.#byMember.get(member) ?? new Map<string, Grant>();
    own.set(key, { place, role, member, binding: name });
    this.#byMember.set(member, own);
  }

  #forget(member: string, key: string): void {
    const own = this.#byMember.get(member);
    own?.delete(key);
    if (own?.size === 0) this.#byMember.delete(member);
  }
}

function isWithinLimit({ limit }: Caller, at: Place): boolean {
  const project = limit?.project;
  return project === undefined || (at.kind === "project" && at.name === project);
}
