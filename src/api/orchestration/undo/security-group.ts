import { clone } from "@bufbuild/protobuf";
import {
  type SecurityGroup,
  SecurityGroupSchema,
  SecurityGroupService,
} from "../../../gen/n0stack/network/v1alpha1/security_group_pb.ts";
import { securityGroups } from "../../network/security-group/collection.ts";
import type { Change, Undo, Undoing } from "./change.ts";
import { type Draft, draft } from "./draft.ts";
import { isShared, isSharedAs, plainSharing, visibilityOf } from "./sharing.ts";

const { method } = SecurityGroupService;
const kind = securityGroups.kind;

export const securityGroupUndoing: Undoing<typeof SecurityGroupSchema> = {
  of: securityGroups,
  schema: SecurityGroupSchema,
  word: "security group",

  plain(group) {
    const copy = clone(SecurityGroupSchema, group);
    for (const field of ["transactionId", "project"] as const) copy[field] = "";
    plainSharing(copy);
    return copy;
  },

  remove(change, after, undo) {
    const { name } = change;
    const remove = draft(kind, method.deleteSecurityGroup, name, { name });
    return namesOthers(change, after, undo) ? [withoutRules(name), remove] : [remove];
  },

  make(change, before, undo) {
    const { name } = change;
    return [
      ...(namesOthers(change, before, undo) ? [withoutRules(name)] : []),
      apply(name, before),
      ...(isShared(before) ? [share(name, before)] : []),
    ];
  },

  restore: ({ name, before, after }) => [
    ...(isSameApart(before, after) ? [] : [apply(name, before)]),
    ...(isSharedAs(before, after) ? [] : [share(name, before)]),
  ],

  restored(copy, before) {
    Object.assign(copy, securityGroupUndoing.plain(before));
  },
};

/**
 * Whether its rules name other groups that the transaction has made or deleted. Such groups may name each other, so
 * the first task of each is one without rules: see `order.ts`.
 */
export function namesOthers(
  { name }: Pick<Change<SecurityGroup>, "name">,
  { rules }: SecurityGroup,
  undo: Undo,
): boolean {
  const others = undo
    .changesOf(securityGroups)
    .filter(({ before, after }) => before === undefined || after === undefined)
    .map((other) => other.name);
  return rules.some(({ remoteGroup }) => remoteGroup !== name && others.includes(remoteGroup));
}

function isSameApart(before: SecurityGroup, after: SecurityGroup): boolean {
  const [was, is] = [before, after].map((group) => {
    const { visibility: _, visibleTo: __, ...rest } = securityGroupUndoing.plain(group);
    return JSON.stringify(rest);
  });
  return was === is;
}

function withoutRules(name: string): Draft {
  const empty = draft(kind, method.applySecurityGroup, `${name}, without rules`, { name });
  return { ...empty, isPrelude: true };
}

function apply(name: string, before: SecurityGroup): Draft {
  const { labels, annotations, rules, logDropped } = before;
  const request = { name, labels, annotations, rules, logDropped };
  return draft(kind, method.applySecurityGroup, name, request);
}

function share(name: string, before: SecurityGroup): Draft {
  return draft(kind, method.setSecurityGroupVisibility, name, { name, ...visibilityOf(before) });
}
