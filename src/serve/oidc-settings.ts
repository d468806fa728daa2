import type { OidcProvider } from "../api/iam/oidc/provider.ts";
import type { RoleRule } from "../api/iam/oidc/role-rule.ts";
import { parseRoleRule } from "../api/iam/oidc/role-rule.ts";
import { N0Error } from "../util/errors.ts";
import { parseSafeUrl } from "../util/json-request.ts";
import { DEFAULT_SCOPE } from "../util/ref.ts";

/** The settings, each as the user writes it. */
interface OidcSettings {
  readonly oidcIssuer: readonly string[];
  readonly oidcAudience: readonly string[];
  readonly oidcUserClaim: readonly string[];
  readonly oidcGroupsClaim: readonly string[];
  readonly oidcRoleRules: readonly string[];
}

/** A value, and the domain that it is for. */
interface OfDomain {
  readonly domain: string | undefined;
  readonly value: string;
}

const GROUPS_CLAIM = "groups";

function ofDomain(text: string): OfDomain {
  const [, domain, value = ""] = /^(?:([a-zA-Z0-9][\w.-]{0,62})=)?(.*)$/s.exec(text) ?? [];
  return { domain, value };
}

/** `[domain=]https://issuer#client-id` */
export function oidcIssuer(value: unknown): string {
  if (typeof value === "string" && issuerOf(value) !== undefined) return value;
  throw new Error(
    "must be the URL of an issuer and a client id, such as https://id.example#n0cli or " +
      "corp=https://id.corp.example#n0cli; http:// only on loopback",
  );
}

/** `group=role@place` */
export function oidcRoleRule(value: unknown): string {
  if (typeof value === "string" && parseRoleRule(value) !== undefined) return value;
  throw new Error(
    "must be rules such as ops=operator@system, corp/ops=owner@domain/corp or dev-*=member@project/*",
  );
}

function issuerOf(text: string) {
  const { domain = DEFAULT_SCOPE, value } = ofDomain(text);
  const [issuer = "", clientId = "", ...more] = value.split("#");
  if (clientId === "" || more.length > 0 || issuer.includes("?")) return undefined;
  return parseSafeUrl(issuer) === undefined ? undefined : { domain, issuer, clientId };
}

/**
 * The providers of the domains.
 *
 * @throws N0Error `invalid_argument` if two settings contradict each other.
 */
export function oidcProvidersOf(settings: OidcSettings): readonly OidcProvider[] {
  const issuers = settings.oidcIssuer.map(issuerOf).filter((one) => one !== undefined);
  for (const [i, { domain, issuer }] of issuers.entries()) {
    const before = issuers.slice(0, i);
    if (before.some((one) => one.domain === domain)) {
      throw wrong("oidc-issuer", `domain "${domain}" has two issuers`);
    }
    if (before.some((one) => one.issuer === issuer)) {
      throw wrong("oidc-issuer", `${issuer} is the issuer of two domains`);
    }
  }
  const valuesFor = (name: string, texts: readonly string[], domain: string) => {
    const values = texts.map(ofDomain);
    const lost = values.find((v) => v.domain && !issuers.some((one) => one.domain === v.domain));
    if (lost !== undefined) throw wrong(name, `domain "${lost.domain}" has no issuer`);
    const own = values.filter((v) => v.domain === domain);
    return (own.length > 0 ? own : values.filter((v) => !v.domain)).map(({ value }) => value);
  };
  return issuers.map((one) => {
    const audiences = valuesFor("oidc-audience", settings.oidcAudience, one.domain);
    const [userClaim] = valuesFor("oidc-user-claim", settings.oidcUserClaim, one.domain);
    const [groupsClaim] = valuesFor("oidc-groups-claim", settings.oidcGroupsClaim, one.domain);
    return {
      ...one,
      audiences,
      ...(userClaim === undefined ? {} : { userClaim }),
      groupsClaim: groupsClaim ?? GROUPS_CLAIM,
    };
  });
}

export function oidcRoleRulesOf({ oidcRoleRules }: OidcSettings): readonly RoleRule[] {
  return oidcRoleRules.map(parseRoleRule).filter((rule) => rule !== undefined);
}

function wrong(setting: string, why: string): N0Error {
  return new N0Error("invalid_argument", `${setting}: ${why}`);
}
