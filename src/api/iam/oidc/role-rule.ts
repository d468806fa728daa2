import { DEFAULT_SCOPE, formatRef } from "../../../util/ref.ts";

/** Gives the people of a group a role, without a role binding. */
export interface RoleRule {
  /** Such as `group/ops` or `group/corp/dev-*`; `*` stands for any part of the name, at most once. */
  readonly group: string;
  readonly role: string;
  /** Where, such as `system` or `project/acme`. A `*` in it becomes what the `*` of the group stands for. */
  readonly scope: string;
}

/** A role at a place, in the form of a role binding. */
export interface RuleGrant {
  readonly role: string;
  readonly scope: string;
}

const NAME = "[a-zA-Z0-9._-]{1,63}";
const PATTERN = "[a-zA-Z0-9._*-]{1,63}";
const RULE = new RegExp(
  `^(?:(${NAME})/)?(${PATTERN})=(${NAME})@(system|domain/${NAME}|project/${PATTERN})$`,
);

/**
 * Reads `ops=operator@system`, `corp/ops=owner@domain/corp` or `dev-*=member@project/*`.
 *
 * @returns undefined for any other text.
 */
export function parseRoleRule(text: string): RoleRule | undefined {
  const [, domain = DEFAULT_SCOPE, name = "", role = "", scope = ""] = RULE.exec(text) ?? [];
  const stars = starsIn(name);
  if (role === "" || stars > 1 || starsIn(scope) > stars) return undefined;
  return { group: formatRef({ kind: "group", scope: domain, name }), role, scope };
}

function starsIn(text: string): number {
  return text.split("*").length - 1;
}

/** What the rules give the people of a group. */
export function grantsByRule(rules: readonly RoleRule[], group: string): readonly RuleGrant[] {
  return rules.flatMap(({ group: pattern, role, scope }) => {
    const part = starPart(pattern, group);
    return part === undefined ? [] : [{ role, scope: scope.replace("*", () => part) }];
  });
}

/** What `*` stands for; empty if there is none. Undefined if the group does not match. */
function starPart(pattern: string, group: string): string | undefined {
  const star = pattern.indexOf("*");
  if (star < 0) return pattern === group ? "" : undefined;
  const start = pattern.slice(0, star);
  const end = pattern.slice(star + 1);
  const isMatch =
    group.length > start.length + end.length && group.startsWith(start) && group.endsWith(end);
  const part = isMatch ? group.slice(start.length, group.length - end.length) : undefined;
  // A star does not reach into another domain.
  return part?.includes("/") === true ? undefined : part;
}
