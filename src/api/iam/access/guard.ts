import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Access, AccessScope } from "../../../gen/n0stack/rules/v1alpha1/access_pb.ts";
import { accessOf } from "../../../rpc/access-option.ts";
import { type Caller, callerOf, NOBODY } from "../../../rpc/caller.ts";
import { invalid, N0Error, notFound } from "../../../util/errors.ts";
import { PROJECT_HEADER, wrongInProjectName } from "../../../util/project.ts";
import { DEFAULT_SCOPE, formatRef, nodeRef } from "../../../util/ref.ts";
import { setWhere, type Where } from "../../core/where.ts";
import type { Grants } from "./grants.ts";
import { type Permission, permissionText } from "./permission.ts";
import { formatPlace, type Place, parsePlace, placeText, SYSTEM } from "./place.ts";
import { hidden, type OnCallRefused } from "./refused-calls.ts";
import { whileAllowed } from "./while-allowed.ts";

type Unary = (request: unknown, context: HandlerContext) => Promise<unknown>;
type Streaming = (request: unknown, context: HandlerContext) => AsyncIterable<unknown>;
/** The fields of a request; none for a stream of requests, which names nothing before it begins. */
type Fields = { readonly [field: string]: unknown };

/**
 * The same router, which refuses what nothing allows, and tells each handler where it works.
 *
 * @throws N0Error for a method whose proto does not say what it needs.
 */
export function guardedRouter(
  router: ConnectRouter,
  grants: Grants,
  onRefused: OnCallRefused,
): ConnectRouter {
  return {
    ...router,
    service(service, routes, options) {
      router.service(service, guardedRoutes(service, routes, grants, onRefused), options);
      return this;
    },
  };
}

function guardedRoutes<S extends DescService>(
  service: S,
  routes: Partial<ServiceImpl<S>>,
  grants: Grants,
  onRefused: OnCallRefused,
): Partial<ServiceImpl<S>> {
  const all: { [name: string]: unknown } = { ...routes };
  for (const method of service.methods) {
    const { localName, methodKind } = method;
    const handle = all[localName];
    if (handle === undefined) continue;
    const access = needed(method);
    grants.catalog.add(method);
    all[localName] =
      methodKind === "unary"
        ? async (request: Fields, context: HandlerContext) => {
            try {
              admit(grants, access, request, context);
              return await (handle as Unary)(request, context);
            } catch (reason) {
              onRefused(reason, access, context);
              throw reason;
            }
          }
        : async function* (request: Fields, context: HandlerContext) {
            const fields = methodKind === "server_streaming" ? request : {};
            const { ended: credentialEnded } = callerOf(context.values);
            const ends = credentialEnded === undefined ? [] : [credentialEnded];
            try {
              using allowed = whileAllowed(grants, admit(grants, access, fields, context));
              ends.push(allowed.ended);
              yield* (handle as Streaming)(request, until(ends, context));
            } catch (reason) {
              onRefused(reason, access, context);
              throw reason;
            }
            for (const end of ends) end.throwIfAborted();
          };
  }
  return all as Partial<ServiceImpl<S>>;
}

function needed(method: DescMethod): Access {
  const access = accessOf(method);
  if (access !== undefined && access.scope !== AccessScope.UNSPECIFIED) return access;
  throw new Error(`${method.parent.typeName}/${method.name} does not say what access it needs`);
}

/** A stream ends with the credential of its caller, and with the role that allows it. */
function until(ends: readonly AbortSignal[], context: HandlerContext): HandlerContext {
  return { ...context, signal: AbortSignal.any([context.signal, ...ends]) };
}

/**
 * @returns a function that throws the same once the caller may not do it any more.
 * @throws N0Error `permission_denied`, or `not_found` for what does not exist for the caller.
 */
function admit(
  grants: Grants,
  access: Access,
  request: Fields,
  context: HandlerContext,
): () => void {
  const caller = callerOf(context.values);
  const { scope } = access;
  if (scope !== AccessScope.PUBLIC && caller === NOBODY) {
    throw new N0Error("unauthenticated", "this call needs a token");
  }
  const project = projectOf(caller, context.requestHeader);
  const place = placeOf(grants, access, request, project);
  const permission = { resource: access.resource, verb: access.verb };
  const check = isFree(access, request, caller, place)
    ? () => {}
    : () => throwUnlessAllowed(grants, caller, permission, place);
  check();
  setWhere(context.values, whereOf(grants, project, place));
  return check;
}

/** @throws N0Error `invalid_argument` for a header that cannot be the name of a project. */
function projectOf({ project, limit }: Caller, header: Headers): string {
  const named = header.get(PROJECT_HEADER);
  if (named === null) return project ?? limit?.project ?? DEFAULT_SCOPE;
  const wrong = wrongInProjectName(named);
  if (wrong === undefined) return named;
  throw new N0Error("invalid_argument", `header ${PROJECT_HEADER}: ${wrong}`, {
    field: PROJECT_HEADER,
  });
}

function placeOf(grants: Grants, access: Access, request: Fields, project: string): Place {
  const named = textIn(request, access.field);
  switch (access.scope) {
    case AccessScope.SYSTEM:
    case AccessScope.NODE:
      return SYSTEM;
    case AccessScope.DOMAIN:
      return { kind: "domain", name: named || (grants.domainOf(project) ?? DEFAULT_SCOPE) };
    case AccessScope.NAMED:
      return named === "" ? { kind: "project", name: project } : namedPlace(access.field, named);
    default:
      return { kind: "project", name: named || project };
  }
}

function namedPlace(field: string, text: string): Place {
  const place = parsePlace(text);
  if (place !== undefined) return place;
  throw invalid(field, 'must be "system", "domain/NAME" or "project/NAME"');
}

function textIn(request: Fields, field: string): string {
  const local = field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const value = field === "" ? undefined : request[local];
  return typeof value === "string" ? value : "";
}

/** Whether the caller needs no permission. */
function isFree(access: Access, request: Fields, caller: Caller, place: Place): boolean {
  switch (access.scope) {
    case AccessScope.PUBLIC:
    case AccessScope.SIGNED_IN:
      return true;
    case AccessScope.NODE: {
      const name = textIn(request, access.field);
      return name !== "" && caller.principal === formatRef(nodeRef(name));
    }
    default:
      return isSelf(access, request, caller, place);
  }
}

/** Whether the request is about the user who sends it, with a credential that is not narrowed. */
function isSelf({ self }: Access, request: Fields, caller: Caller, place: Place): boolean {
  const name = textIn(request, self);
  if (name === "" || place.kind !== "domain" || caller.limit !== undefined) return false;
  return caller.principal === formatRef({ kind: "user", scope: place.name, name });
}

/** @throws N0Error `not_found` for a place that does not exist for the caller; `permission_denied`. */
export function throwUnlessAllowed(
  grants: Grants,
  caller: Caller,
  permission: Permission,
  at: Place,
): void {
  if (at.kind !== "system" && !(grants.exists(at) && grants.sees(caller, at))) {
    throw hidden(notFound(at.kind, at.name));
  }
  if (grants.allows(caller, permission, at)) return;
  throw new N0Error(
    "permission_denied",
    `${caller.principal} lacks the permission ${permissionText(permission)} in ${placeText(at)}: ` +
      'see "n0cli can-i", and ask who may give roles there',
    { resource: formatPlace(at) },
  );
}

function whereOf(grants: Grants, named: string, place: Place): Where {
  const project = place.kind === "project" ? place.name : named;
  const domain = place.kind === "domain" ? place.name : (grants.domainOf(project) ?? DEFAULT_SCOPE);
  return { project, domain, place: formatPlace(place) };
}
