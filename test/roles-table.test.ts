import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { apiServices, PAGE, rolesPage } from "../scripts/roles-table.ts";
import { AccessScope } from "../src/gen/n0stack/rules/v1alpha1/access_pb.ts";
import { accessOf } from "../src/rpc/access-option.ts";

test("each RPC of the API says what access it needs", async () => {
  const methods = (await apiServices()).flatMap((service) => service.methods);
  expect(methods.length).toBeGreaterThan(100);
  const silent = methods.filter((method) => {
    const { resource = "", verb = "", scope = AccessScope.UNSPECIFIED } = accessOf(method) ?? {};
    if (scope === AccessScope.PUBLIC) return false;
    return scope === AccessScope.UNSPECIFIED || resource === "" || verb === "";
  });
  expect(silent.map(String)).toEqual([]);
});

test("docs/operating/roles.md is what npm run gen writes", async () => {
  expect(readFileSync(PAGE, "utf8")).toBe(await rolesPage());
});
