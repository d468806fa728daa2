import { defined } from "../../util/defined.ts";
import { N0Error } from "../../util/errors.ts";
import { parseSafeUrl } from "../../util/json-request.ts";

export const CHALLENGES = ["http-01", "tls-alpn-01"] as const;
export type ChallengeType = (typeof CHALLENGES)[number];

/** How the API gets its certificate from an ACME server. */
export interface AcmeSettings {
  readonly directoryUrl: string;
  /** In lower case. */
  readonly domains: readonly string[];
  readonly email: string | undefined;
  readonly challenge: ChallengeType;
  readonly httpPort: number;
  /** The authority of the ACME server itself, PEM. */
  readonly ca?: string;
}

interface Flags {
  readonly acmeDirectory?: string | undefined;
  readonly acmeDomain: readonly string[];
  readonly acmeEmail?: string | undefined;
  readonly acmeChallenge: ChallengeType;
  readonly acmeHttpPort: number;
  readonly acmeCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly insecure: boolean;
}

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const DOMAIN_LENGTH_MAX = 253;

/** A DNS name. */
export function domainName(value: unknown): string {
  const name = typeof value === "string" ? value.toLowerCase() : "";
  const labels = name.split(".");
  const isName = name.length <= DOMAIN_LENGTH_MAX && labels.every((label) => LABEL.test(label));
  // The last label of an address is a number.
  if (isName && !/^\d+$/.test(labels.at(-1) ?? "")) return name;
  throw new Error(
    "must be DNS names such as cloud.example, without a wildcard, for which these challenges do not work",
  );
}

export function acmeDirectory(value: unknown): string {
  const url = parseSafeUrl(value);
  if (url !== undefined) return url.href;
  throw new Error("must be an https: URL such as https://acme.example/directory");
}

export function emailAddress(value: unknown): string {
  if (typeof value === "string" && /^[^\s@,?<>"]{1,64}@[^\s@,?<>"]{1,190}$/.test(value))
    return value;
  throw new Error("must be an address such as admin@cloud.example");
}

/**
 * @param readPem Reads the file of a setting.
 * @returns undefined without --acme-directory.
 * @throws N0Error `failed_precondition` for settings that contradict each other.
 */
export function acmeSettingsOf(
  flags: Flags,
  readPem: (setting: string, path: string) => string,
): AcmeSettings | undefined {
  const { acmeDirectory: directoryUrl, acmeDomain, acmeEmail: email, acmeCa } = flags;
  if (directoryUrl === undefined) {
    const lost = [
      ...(acmeDomain.length > 0 ? ["--acme-domain"] : []),
      ...(email === undefined ? [] : ["--acme-email"]),
      ...(acmeCa === undefined ? [] : ["--acme-ca"]),
    ];
    if (lost[0] !== undefined) refuse(`${lost[0]} needs --acme-directory`);
    return undefined;
  }
  if (acmeDomain.length === 0) refuse("--acme-directory needs --acme-domain");
  if (flags.tlsCert !== undefined) {
    refuse(
      "--acme-directory and --tls-cert exclude each other: choose where the certificate comes from",
    );
  }
  if (flags.insecure) refuse("--acme-directory and --insecure exclude each other");
  return {
    directoryUrl,
    domains: [...new Set(acmeDomain)],
    email,
    challenge: flags.acmeChallenge,
    httpPort: flags.acmeHttpPort,
    ...defined({ ca: acmeCa === undefined ? undefined : readPem("acme-ca", acmeCa) }),
  };
}

function refuse(why: string): never {
  throw new N0Error("failed_precondition", why);
}
