import {
  type Cidr,
  contains,
  type Family,
  formatAddress,
  parseAddress,
  parseBlock,
} from "../../util/cidr.ts";
import { invalid } from "../../util/errors.ts";
import { quote } from "../../util/quote.ts";

/** Who a guest is on its Network. The filter of its tap drops what claims to be somebody else. */
export interface PortIdentity {
  /** Such as `52:54:00:12:34:56`. */
  readonly hardwareAddress: string;
  /** IPv4 and IPv6, without prefix length; none for a guest that may only ask for an address by DHCP. */
  readonly addresses: readonly string[];
  /** More, from which other guests of the network may speak too. */
  readonly allowedAddresses?: readonly string[];
}

const HARDWARE_ADDRESS_RULE = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
/** Unspecified, multicast and broadcast addresses, which stand for other things than one host. */
const NO_SENDERS: Readonly<Record<Family, readonly Cidr[]>> = {
  4: ["0.0.0.0/8", "224.0.0.0/3"].map((text) => parseBlock(text)!),
  6: ["::/128", "ff00::/8"].map((text) => parseBlock(text)!),
};

/**
 * The identity in its one form: small letters, canonical addresses in order, none twice.
 *
 * @throws N0Error `invalid_argument`
 */
export function checkIdentity(identity: PortIdentity): PortIdentity {
  const { hardwareAddress, addresses, allowedAddresses = [] } = identity;
  const lower = hardwareAddress.toLowerCase();
  if (!HARDWARE_ADDRESS_RULE.test(lower) || isGroup(lower) || lower === "00:00:00:00:00:00") {
    const rule = "must be the hardware address of one host, such as 52:54:00:12:34:56";
    throw invalid("identity.hardware_address", `${rule}, got ${quote(hardwareAddress)}`);
  }
  const allowed = checkAddresses("identity.allowed_addresses", allowedAddresses);
  return {
    hardwareAddress: lower,
    addresses: checkAddresses("identity.addresses", addresses),
    ...(allowed.length === 0 ? {} : { allowedAddresses: allowed }),
  };
}

/** In order, none twice. @throws N0Error `invalid_argument` */
export function checkAddresses(field: string, addresses: readonly string[]): string[] {
  const checked = addresses.map((text, i) => {
    const canonical = senderOf(text);
    if (canonical !== undefined) return canonical;
    const rule = "must be the IP address of one host";
    throw invalid(`${field}[${i}]`, `${rule}, got ${quote(text)}`);
  });
  return [...new Set(checked)].sort();
}

/** Without the difference between those of its own and those that others may have too. A filter knows none. */
export function asOwn({ hardwareAddress, ...identity }: PortIdentity): PortIdentity {
  const { addresses, allowedAddresses = [] } = identity;
  return { hardwareAddress, addresses: [...new Set([...addresses, ...allowedAddresses])].sort() };
}

/** For an identity that was checked. */
export function identityText(identity: PortIdentity): string {
  const { hardwareAddress, addresses } = asOwn(identity);
  return [hardwareAddress, ...addresses].join(" ");
}

export function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

function isGroup(hardwareAddress: string): boolean {
  return (Number.parseInt(hardwareAddress.slice(0, 2), 16) & 1) === 1;
}

function senderOf(text: string): string | undefined {
  const family = familyOf(text);
  const value = parseAddress(text, family);
  if (value === undefined) return undefined;
  if (NO_SENDERS[family].some((cidr) => contains(cidr, value))) return undefined;
  return formatAddress(value, family);
}
