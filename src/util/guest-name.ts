import { canonicalAddress } from "./cidr.ts";
import { invalid } from "./errors.ts";
import { quote } from "./quote.ts";
import type { Ref } from "./ref.ts";
import { shortDigest } from "./security-rule.ts";

type Named = Pick<Ref, "scope" | "name">;

/** A name may contain characters that a host name may not (RFC 1123). */
export function hostnameOf(name: string): string {
  return name.replace(/[._]+/g, "-").replace(/-+$/, "");
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/** @throws N0Error `invalid_argument` for what is neither a host name nor one with its domain (RFC 1123). */
export function checkHostname(field: string, text: string): void {
  const labels = text.split(".");
  if (text.length > 253 || !labels.every((label) => LABEL.test(label))) {
    throw invalid(
      field,
      `${quote(text)} is not a host name: write letters, digits and - inside, up to 63, also with a domain as in web.example.com`,
    );
  }
  if (/^\d+$/.test(labels.at(-1) ?? "")) {
    throw invalid(field, `${quote(text)} ends like an address: end it with a letter`);
  }
  if (labels[0]?.toLowerCase() === "localhost") {
    throw invalid(field, "localhost is the name of every host for itself: choose another one");
  }
}

/**
 * The name of the guest of an object in the domain of a network; empty for one that DNS must not have. In the
 * network of another project, the project follows the name: it cannot take a name that guests of that network trust.
 */
export function guestNameIn(network: Pick<Ref, "scope">, { scope, name }: Named): string {
  const own = hostnameOf(name).toLowerCase();
  if (own === "localhost") return "";
  return scope === network.scope ? own : `${own}.${hostnameOf(scope).toLowerCase()}`;
}

/** A guest as DNS knows it. */
export interface NamedGuest {
  readonly name?: string;
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
}

/** Equal for the same guests in whatever order. Those without a name or an address do not count. */
export function digestOfNames(guests: readonly NamedGuest[]): string {
  const lines = guests.flatMap(({ name = "", ipv4Address = "", ipv6Address = "" }) => {
    const addresses = [ipv4Address, ipv6Address].filter((one) => one !== "").map(canonicalAddress);
    return name === "" || addresses.length === 0 ? [] : [[name, ...addresses].join(" ")];
  });
  return shortDigest(lines.sort().join("\n"));
}
