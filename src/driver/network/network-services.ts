import { isIP } from "node:net";
import { canonicalAddress, type Family } from "../../util/cidr.ts";
import { defined } from "../../util/defined.ts";
import { isDomainName } from "../../util/dns-name.ts";
import { invalid } from "../../util/errors.ts";
import { quote } from "../../util/quote.ts";
import { checkIdentity, familyOf } from "./port-identity.ts";

/** What guests of a network get besides packets: DHCP and DNS, from their node. */
export interface NetworkServices {
  /** Such as `example.internal`, without a dot at its end. Undefined: names have no domain. */
  readonly domain?: string;
  /** Where DNS asks for all other names; if empty, the nameservers of the node. */
  readonly nameservers: readonly string[];
}

/** A guest on one of its networks, as DHCP and DNS know it. Without an address it gets none from DHCP. */
export interface GuestEntry {
  readonly hardwareAddress: string;
  /** Its name in the domain of the network, such as `web-1`. Undefined: DNS does not know it. */
  readonly name?: string;
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
}

/** What DNS asks in turn. */
export const NAMESERVERS_MAX = 8;

/** One label, or two for a guest of another project. */
const NAME_RULE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/;

/**
 * The services in their one form. What is checked here becomes lines of configuration files.
 *
 * @throws N0Error `invalid_argument`
 */
export function checkServices({ domain, nameservers }: NetworkServices): NetworkServices {
  if (domain !== undefined && !isDomainName(domain)) {
    throw invalid("services.domain", `must be a domain name, got ${quote(domain)}`);
  }
  if (nameservers.length > NAMESERVERS_MAX) {
    throw invalid("services.nameservers", `must be at most ${NAMESERVERS_MAX} addresses`);
  }
  const checked = nameservers.map((text, i) => addressIn(`services.nameservers[${i}]`, text));
  return { ...defined({ domain: domain?.toLowerCase() }), nameservers: [...new Set(checked)] };
}

/** @throws N0Error `invalid_argument` */
export function checkEntry(entry: GuestEntry): GuestEntry {
  const { hardwareAddress } = checkIdentity({ ...entry, addresses: [] });
  const name = entry.name?.toLowerCase();
  if (name !== undefined && !NAME_RULE.test(name)) {
    throw invalid("entry.name", `must be a host name, got ${quote(entry.name ?? "")}`);
  }
  const ipv4Address = hostIn("entry.ipv4_address", entry.ipv4Address, 4);
  const ipv6Address = hostIn("entry.ipv6_address", entry.ipv6Address, 6);
  return { hardwareAddress, ...defined({ name, ipv4Address, ipv6Address }) };
}

function hostIn(field: string, text: string | undefined, family: Family): string | undefined {
  if (text === undefined) return undefined;
  if (isIP(text) === 0 || familyOf(text) !== family) {
    throw invalid(field, `must be an IPv${family} address, got ${quote(text)}`);
  }
  return addressIn(field, text);
}

/** A zone names a device of the node. */
function addressIn(field: string, text: string): string {
  if (isIP(text) !== 0 && !text.includes("%")) return canonicalAddress(text);
  throw invalid(field, `must be an IP address, got ${quote(text)}`);
}
