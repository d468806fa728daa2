import { expect, test } from "vitest";
import { loadSettings } from "./config.ts";
import { oidcProvidersOf, oidcRoleRulesOf } from "./oidc-settings.ts";

const settingsOf = (flags: Readonly<Record<string, unknown>>) =>
  loadSettings("api", { flags, environment: {} });
const providersOf = (flags: Readonly<Record<string, unknown>>) =>
  oidcProvidersOf(settingsOf(flags));

test("without an issuer there is no provider", () => {
  expect(providersOf({})).toEqual([]);
});

test("each domain has its issuer, and a value without a domain is for all", () => {
  const oidcIssuer = "https://id.example/realms/a#n0cli,corp=http://localhost:5556/dex/#web";
  const oidcAudience = "cloud,corp=api://cloud";
  const oidcGroupsClaim = "corp=roles";
  const settings = { oidcIssuer, oidcAudience, oidcUserClaim: "email", oidcGroupsClaim };
  expect(providersOf(settings)).toEqual([
    {
      domain: "default",
      issuer: "https://id.example/realms/a",
      clientId: "n0cli",
      audiences: ["cloud"],
      userClaim: "email",
      groupsClaim: "groups",
    },
    {
      domain: "corp",
      issuer: "http://localhost:5556/dex/",
      clientId: "web",
      audiences: ["api://cloud"],
      userClaim: "email",
      groupsClaim: "roles",
    },
  ]);
});

test("rules are read", () => {
  const oidcRoleRules = "ops=operator@system,dev-*=member@project/*";
  expect(oidcRoleRulesOf(settingsOf({ oidcRoleRules }))).toHaveLength(2);
});

test.for([
  ["oidc-issuer", { oidcIssuer: "http://id.example#n0cli" }],
  ["oidc-issuer", { oidcIssuer: "https://id.example" }],
  ["oidc-issuer", { oidcIssuer: "https://a:b@id.example#n0cli" }],
  ["oidc-issuer", { oidcIssuer: "https://id.example?a=b#n0cli" }],
  ["oidc-issuer", { oidcIssuer: "https://a.example#n,https://b.example#n" }],
  ["oidc-issuer", { oidcIssuer: "a=https://a.example#n,b=https://a.example#n" }],
  ["oidc-audience", { oidcIssuer: "https://a.example#n", oidcAudience: "corp=x" }],
  ["oidc-role-rules", { oidcRoleRules: "ops" }],
] as const)("a wrong %s is refused: %j", ([setting, flags]) => {
  expect(() => providersOf(flags)).toThrow(setting);
});
