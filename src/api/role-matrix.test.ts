import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { create, fromJson, getOption } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newProject } from "../../test/projects.ts";
import { allRoutes, exampleOf, methodsOf, send } from "../../test/served.ts";
import { newWorld, type World } from "../../test/world.ts";
import { put } from "../datastore/collection.ts";
import { merge } from "../datastore/datastore.ts";
import { DomainSchema } from "../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { RoleBindingSchema } from "../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { access, AccessScope as Scope } from "../gen/n0stack/rules/v1alpha1/access_pb.ts";
import { serverInterceptors } from "../rpc/interceptors.ts";
import { localTransport } from "../rpc/local-transport.ts";
import { assertValid } from "../rpc/validate.ts";
import { silentLog } from "../util/log.ts";
import { domains } from "./iam/domain/collection.ts";
import { roleBindings } from "./iam/role-binding/collection.ts";

/** What a caller learns: that he may, that he may not, or that nothing is there. */
type Outcome = "allowed" | "denied" | "hidden";

/** Every built-in role, at each kind of place. */
const CALLERS = [
  { role: "admin", at: "system" },
  { role: "operator", at: "system" },
  { role: "owner", at: "domain/corp" },
  { role: "member", at: "domain/corp" },
  { role: "viewer", at: "domain/corp" },
  { role: "owner", at: "project/own" },
  { role: "member", at: "project/own" },
  { role: "viewer", at: "project/own" },
  { role: "none", at: "system" },
] as const;

/** The domain of each project. */
const DOMAINS: Readonly<Record<string, string>> = {
  own: "corp",
  sibling: "corp",
  other: "default",
  nowhere: "",
};

/** What each role may do, written by hand once more, so that nobody widens one by accident. */
const TABLE: Readonly<Record<string, (resource: string, verb: string) => boolean>> = {
  admin: () => true,
  owner: () => true,
  operator: (resource, verb) =>
    isReading(verb) ||
    ["node", "verify", "transaction", "join_token"].includes(resource) ||
    (resource === "quota" && verb === "set") ||
    (resource === "network" && verb === "trace"),
  member: (resource, verb) =>
    OBJECTS.includes(resource) ||
    ([...SEEN, "service_account"].includes(resource) && isReading(verb)) ||
    (resource === "transaction" && ["cancel", "retry", "run"].includes(verb)) ||
    (resource === "stack" && verb === "read"),
  viewer: (resource, verb) => [...OBJECTS, ...SEEN].includes(resource) && isReading(verb),
  none: () => false,
};
const OBJECTS = [
  "virtual_machine",
  "block_storage",
  "image",
  "network",
  "security_group",
  "virtual_router",
];
const SEEN = ["stack", "transaction", "quota", "project", "user"];
const isReading = (verb: string) => ["get", "list", "watch"].includes(verb);

/** Whether all of `narrow` is in `wide`. */
function covers(wide: string, narrow: string): boolean {
  if (wide === "system" || wide === narrow) return true;
  const [kind, project = ""] = narrow.split("/");
  return kind === "project" && wide === `domain/${DOMAINS[project]}`;
}

/** The text form of the place at which the RPC needs its permission; undefined if it needs none. */
function placeOf(method: DescMethod, project: string): string | undefined {
  switch (getOption(method, access).scope) {
    case Scope.SYSTEM:
    case Scope.NODE:
      return "system";
    case Scope.DOMAIN:
      // A call in a project that does not exist is one in the domain `default`.
      return `domain/${DOMAINS[project] || "default"}`;
    case Scope.PROJECT:
    case Scope.NAMED:
      return `project/${project}`;
    default:
      return undefined;
  }
}

function expectedOf(method: DescMethod, { role, at }: (typeof CALLERS)[number], project: string) {
  const place = placeOf(method, project);
  if (place === undefined) return "allowed";
  if (place === "project/nowhere") return "hidden";
  const holds = role !== "none" && covers(at, place);
  const sees = role !== "none" && (holds || covers(place, at));
  if (place !== "system" && !sees) return "hidden";
  const { resource, verb } = getOption(method, access);
  return holds && TABLE[role]!(resource, verb) ? "allowed" : "denied";
}

/** The example of the RPC, with the place in the field that names it. */
function requestOf(method: DescMethod, project: string): JsonObject {
  const { field, scope } = getOption(method, access);
  const example = exampleOf(method);
  const { jsonName } = method.input.fields.find(({ name }) => name === field) ?? {};
  if (jsonName === undefined) return example;
  if (scope === Scope.PROJECT) return { ...example, [jsonName]: project };
  if (scope === Scope.NAMED) return { ...example, [jsonName]: `project/${project}` };
  if (scope === Scope.DOMAIN) return { ...example, [jsonName]: DOMAINS[project] || "default" };
  return example;
}

function outcomeOf(reason: unknown): Outcome {
  const { rawMessage } = ConnectError.from(reason);
  if (/lacks the permission|needs a token/.test(rawMessage)) return "denied";
  return /^(project|domain) "\w+" does not exist$/.test(rawMessage) ? "hidden" : "allowed";
}

async function prepare(world: World): Promise<void> {
  const corp = create(DomainSchema, { name: "corp" });
  const bindings = CALLERS.filter(({ role }) => role !== "none").map(({ role, at: scope }) => {
    const name = `${role}-${scope}`.replace("/", "-");
    const binding = { name, member: `user/${name}`, role, scope };
    const ref = { kind: roleBindings.kind, scope: scope.split("/")[1] ?? "", name };
    return put(roleBindings, [ref], create(RoleBindingSchema, binding));
  });
  await world.opened.api.datastore.batch(
    merge(
      put(domains, [{ kind: domains.kind, scope: "", name: "corp" }], corp),
      newProject("own", "corp"),
      newProject("sibling", "corp"),
      newProject("other"),
      ...bindings,
    ),
  );
  await world.seen();
  // No call changes anything, so that none is in the way of another.
  world.faults = () => {
    throw new Error("injected");
  };
}

function transportOf({ opened }: World, { role, at }: (typeof CALLERS)[number]) {
  const principal = `user/${role}-${at.replace("/", "-")}`;
  return localTransport(allRoutes(opened), {
    interceptors: serverInterceptors(silentLog),
    caller: { principal, groups: [] },
  });
}

describe("every RPC, for every built-in role, in each project", () => {
  let world: World;
  beforeAll(async () => {
    world = await newWorld({ nodeCount: 0, inMemory: true });
    await prepare(world);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("has an example that breaks no rule", () => {
    for (const method of methodsOf(allRoutes(world.opened))) {
      const request = fromJson(method.input, requestOf(method, "own"));
      expect(() => assertValid(method.input, request), method.name).not.toThrow();
    }
  });

  test.for(CALLERS)("$role at $at", async (caller) => {
    const transport = transportOf(world, caller);
    const methods = methodsOf(allRoutes(world.opened));
    expect(methods.length).toBeGreaterThan(60);
    const wrong: string[] = [];
    for (const method of methods) {
      for (const project of Object.keys(DOMAINS)) {
        const headers = { "n0-project": project };
        const outcome = await send(transport, method, requestOf(method, project), { headers }).then(
          () => "allowed",
          outcomeOf,
        );
        const expected = expectedOf(method, caller, project);
        if (outcome !== expected)
          wrong.push(`${method.name} in ${project}: ${outcome}, not ${expected}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
