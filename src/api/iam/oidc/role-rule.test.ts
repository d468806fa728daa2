import { expect, test } from "vitest";
import { grantsByRule, parseRoleRule } from "./role-rule.ts";

test.for([
  ["ops=operator@system", "group/ops", "operator system"],
  ["ops=operator@system", "group/corp/ops", undefined],
  ["corp/ops=owner@domain/corp", "group/corp/ops", "owner domain/corp"],
  ["dev-*=member@project/*", "group/dev-acme", "member project/acme"],
  ["dev-*=member@project/*", "group/dev-", undefined],
  ["*=viewer@project/all", "group/any", "viewer project/all"],
  ["*=viewer@project/all", "group/corp/any", undefined],
  ["a*c=viewer@project/x", "group/abbc", "viewer project/x"],
] as const)("%s gives %s: %s", ([text, group, given]) => {
  const rules = [text].map(parseRoleRule).filter((rule) => rule !== undefined);
  const grants = grantsByRule(rules, group).map(({ role, scope }) => `${role} ${scope}`);
  expect(grants).toEqual(given === undefined ? [] : [given]);
});

test.for([
  "",
  "ops",
  "ops=operator",
  "ops=operator@everywhere",
  "ops=member@project/*",
  "a*b*=member@project/x",
  "a*=member@domain/*",
  "a/b/c=member@system",
  "o ps=operator@system",
])("%j is not a rule", (text) => {
  expect(parseRoleRule(text)).toBeUndefined();
});
