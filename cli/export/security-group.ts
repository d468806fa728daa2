import {
  ApplySecurityGroupRequestSchema,
  type SecurityGroup,
  SecurityGroupSchema,
} from "../../src/gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { applyGroup } from "./names.ts";
import { sharing } from "./sharing.ts";
import { argsOf, type ExportTask, texts } from "./task.ts";
import type { World } from "./world.ts";

/** The group; before it an empty one, if its rules name groups whose rules name it. */
export function groupTasks(world: World, group: SecurityGroup): readonly ExportTask[] {
  const { name } = group;
  const of = { kind: "security_group", name } as const;
  const action = "ApplySecurityGroup";
  const isInCircle = namesOf(world, name).some((other) => leadsTo(world, other, name));
  const after = namesOf(world, name).map((other) =>
    leadsTo(world, other, name) ? beginGroup(other) : applyGroup(other),
  );
  const args = argsOf(ApplySecurityGroupRequestSchema, SecurityGroupSchema, group, {
    annotations: texts(group.annotations),
    labels: texts(group.labels),
  });
  const begun = { name, only_if_new: true };
  const begin = { name: beginGroup(name), of, action, args: begun, after: [] };
  const own = { name: applyGroup(name), of, action, args };
  return [
    ...(isInCircle ? [begin, { ...own, after: [begin.name, ...after] }] : [{ ...own, after }]),
    ...sharing("security_group", group, applyGroup(name)),
  ];
}

function beginGroup(name: string): string {
  return `begin-group-${name}`;
}

/** The other groups of the project that the rules of a group name. */
export function namesOf(world: World, name: string): readonly string[] {
  const rules = world.securityGroups.get(name)?.rules ?? [];
  const names = new Set(rules.map(({ remoteGroup }) => remoteGroup));
  return [...names].filter((other) => other !== name && world.securityGroups.has(other)).sort();
}

function leadsTo(world: World, from: string, to: string): boolean {
  const seen = new Set([from]);
  for (const name of seen) for (const next of namesOf(world, name)) seen.add(next);
  return seen.has(to);
}
