import { canonicalAddress } from "./cidr.ts";
import type { Ref } from "./ref.ts";
import { shortDigest } from "./security-rule.ts";

type Named = Pick<Ref, "scope" | "name">;

/** A name may contain characters that a host name may not (RFC 1123). */
export function hostnameOf(name: string): string {
  return name.replace(/[._]+/g, "-").replace(/-+$/, "");
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
