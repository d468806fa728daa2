// Writes docs/operating/roles.md: what each RPC needs, and which built-in roles have it.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { BUILT_IN_ROLES, builtInRole } from "../src/api/iam/access/built-in-roles.ts";
import { AccessScope } from "../src/gen/n0stack/rules/v1alpha1/access_pb.ts";
import { accessOf } from "../src/rpc/access-option.ts";

const GEN = join(import.meta.dirname, "../src/gen/n0stack");
export const PAGE = join(import.meta.dirname, "../docs/operating/roles.md");

const PLACES: Readonly<Partial<Record<AccessScope, string>>> = {
  [AccessScope.SYSTEM]: "system",
  [AccessScope.DOMAIN]: "domain",
  [AccessScope.PROJECT]: "project",
  [AccessScope.NAMED]: "the place in the request",
  [AccessScope.SIGNED_IN]: "nothing: shows what one may see",
  [AccessScope.PUBLIC]: "nothing, without authentication",
  [AccessScope.NODE]: "system; nothing for the agent of the node",
};
/** These need no role. */
const FREE: readonly AccessScope[] = [AccessScope.SIGNED_IN, AccessScope.PUBLIC];

/** Every service that a client of the API can call. */
export async function apiServices(): Promise<readonly DescService[]> {
  const paths = readdirSync(GEN, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("_pb.ts") && !path.startsWith("agent/"))
    .toSorted();
  const modules: object[] = await Promise.all(paths.map((path) => import(join(GEN, path))));
  return modules.flatMap((module) => Object.values(module)).filter(isService);
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

/** The whole page. */
export async function rolesPage(): Promise<string> {
  const services = await apiServices();
  const roles = BUILT_IN_ROLES.map(
    ({ name, description, permissions }) =>
      `| \`${name}\` | ${description} | ${permissions.map((text) => `\`${text}\``).join(" ")} |`,
  );
  const names = BUILT_IN_ROLES.map(({ name }) => name);
  const rows = services.flatMap(({ methods }) => methods.map((method) => rowOf(method, names)));
  return `# Roles and permissions

\`npm run gen\` writes this page from the options of the RPCs and the built-in roles. [Identity](identity.md) explains how to give roles.

## Built-in roles

| role | what it is for | permissions |
|---|---|---|
${roles.join("\n")}

A role holds where a role binding gives it: in the whole system, in a domain and all its projects, or in one project. \`*\` stands for any resource or any verb.

## What each call needs

A caller has the permission if a role with "yes" is bound there, or in a place around it.

| RPC | permission | where | ${names.join(" | ")} |
|---|---|---|${names.map(() => "---|").join("")}
${rows.join("\n")}
`;
}

function rowOf(method: DescMethod, roles: readonly string[]): string {
  const { resource, verb, scope } = accessOf(method) ?? {};
  const isFree = scope !== undefined && FREE.includes(scope);
  const has = roles.map((name) => {
    const may = isFree || builtInRole(name)?.has({ resource: resource ?? "", verb: verb ?? "" });
    return may === true ? "yes" : "";
  });
  const permission = isFree ? "" : `\`${resource}.${verb}\``;
  const where = scope === undefined ? "" : (PLACES[scope] ?? "");
  return `| ${method.parent.name}.${method.name} | ${permission} | ${where} | ${has.join(" | ")} |`;
}

if (import.meta.main) writeFileSync(PAGE, await rolesPage());
