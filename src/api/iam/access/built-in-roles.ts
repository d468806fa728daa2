import { PermissionSet } from "./permission.ts";

/** A role that n0stack itself defines. */
export interface BuiltInRole {
  readonly name: string;
  readonly description: string;
  readonly permissions: readonly string[];
}

const READ = ["get", "list", "watch"];

/** What belongs to a project and holds no rights. */
const OBJECTS = [
  "virtual_machine",
  "block_storage",
  "image",
  "network",
  "security_group",
  "virtual_router",
];

function each(resources: readonly string[], verbs: readonly string[]): string[] {
  return resources.flatMap((resource) => verbs.map((verb) => `${resource}.${verb}`));
}

const VIEW = each([...OBJECTS, "stack", "transaction", "quota", "project", "user"], READ);

export const BUILT_IN_ROLES: readonly BuiltInRole[] = [
  {
    name: "admin",
    description: "may do everything",
    permissions: ["*.*"],
  },
  {
    name: "operator",
    description: "runs the nodes and sees everything but consoles, data and user data",
    permissions: [
      ...each(["*"], READ),
      ...each(["node", "verify", "transaction", "join_token"], ["*"]),
      ...each(["quota"], ["set"]),
      ...each(["network"], ["trace"]),
    ],
  },
  {
    name: "owner",
    description: "may do everything in the project or domain, and gives others roles there",
    permissions: ["*.*"],
  },
  {
    name: "member",
    description: "makes, changes and uses all objects of the project",
    permissions: [
      ...VIEW,
      ...each(OBJECTS, ["*"]),
      ...each(["transaction"], ["cancel", "retry", "run"]),
      // The file of a stack may hold secrets.
      ...each(["stack"], ["read"]),
      ...each(["service_account"], READ),
    ],
  },
  {
    name: "viewer",
    description: "sees the objects of the project, but not consoles, data and user data",
    permissions: VIEW,
  },
];

const SETS = new Map(
  BUILT_IN_ROLES.map(({ name, permissions }) => [name, new PermissionSet(permissions)]),
);

export function builtInRole(name: string): PermissionSet | undefined {
  return SETS.get(name);
}
