import { formatAddress, formatCidr, lastOf, parseCidr } from "../../../../util/cidr.ts";
import { defined } from "../../../../util/defined.ts";
import { N0Error } from "../../../../util/errors.ts";
import type { NamedGuest } from "../../../../util/guest-name.ts";
import {
  checkEntry,
  checkServices,
  type GuestEntry,
  type NetworkServices,
} from "../../network-services.ts";
import { familyOf } from "../../port-identity.ts";

/** What the configuration of one network depends on. */
export interface ServiceSettings {
  readonly bridge: string;
  /** With their prefix lengths, as the kernel prints them. */
  readonly gateways: readonly string[];
  readonly domain?: string;
  /** The largest packet, which guests are told. Undefined: they keep their own. */
  readonly mtu?: number;
}

const LEASE_TIME = "1h";
/** dnsmasq serves DHCPv6 for no longer network than this. */
const DHCPV6_PREFIX_LENGTH_MIN = 64;
/** Of a shorter prefix, dnsmasq would make too many zones of reverse names. */
const REVERSE_PREFIX_LENGTH_MIN = 8;

/**
 * The configuration file. Paths are not in it, since dnsmasq would read special characters in them.
 *
 * It sets no tags: with tags of guests, dnsmasq 2.90 died in a test after it had read its files again.
 */
export function configText({ bridge, gateways, domain, mtu }: ServiceSettings): string {
  const cidrs = gateways
    .flatMap((text) => parseCidr(text, familyOf(text)) ?? [])
    .sort((a, b) => a.family - b.family);
  const lines = [
    "# Made by n0stack, which replaces it.",
    "user=dnsmasq",
    "bind-dynamic",
    `interface=${bridge}`,
    "except-interface=lo",
    "no-hosts",
    "no-resolv",
    "cache-size=1000",
    "domain-needed",
    // Only guests of this node get an answer: those with an entry.
    "dhcp-authoritative",
    "dhcp-ignore=tag:!known",
    "dhcp-ignore-names",
    "dhcp-lease-max=65536",
    "no-ping",
    "quiet-dhcp",
    "quiet-dhcp6",
    "quiet-ra",
  ];
  for (const cidr of cidrs) {
    const base = formatAddress(cidr.base, cidr.family);
    if (cidr.prefixLength >= REVERSE_PREFIX_LENGTH_MIN) {
      lines.push(`rev-server=${formatCidr(cidr)}`);
    }
    if (cidr.family === 4) {
      const mask = 2n ** 32n - 1n - (lastOf(cidr) - cidr.base);
      lines.push(`dhcp-range=${base},static,${formatAddress(mask, 4)},${LEASE_TIME}`);
    } else if (cidr.prefixLength >= DHCPV6_PREFIX_LENGTH_MIN) {
      lines.push(`dhcp-range=${base},static,${cidr.prefixLength},${LEASE_TIME}`, "enable-ra");
    }
  }
  if (domain !== undefined) {
    lines.push(
      `local=/${domain}/`,
      `dhcp-option=option:domain-name,${domain}`,
      `dhcp-option=option:domain-search,${domain}`,
      `dhcp-option=option6:domain-search,${domain}`,
    );
  }
  if (mtu !== undefined) {
    lines.push(`dhcp-option=option:mtu,${mtu}`, `ra-param=${bridge},mtu:${mtu},600`);
  }
  return `${lines.join("\n")}\n`;
}

/** The settings in a configuration that was made by `configText`, besides bridge and gateways. */
export function settingsIn(config: string): Pick<ServiceSettings, "domain" | "mtu"> {
  const domain = /^local=\/(.*)\/$/m.exec(config)?.[1];
  const mtu = /^dhcp-option=option:mtu,(\d+)$/m.exec(config)?.[1];
  return defined({ domain, mtu: mtu === undefined ? undefined : Number(mtu) });
}

const OF_NETWORK = "# The nameservers of the network.";
const OF_NODE = "# The nameservers of the node.";
/** Says at once that other names do not exist: a guest would wait for whom it cannot reach. */
const NOBODY = "# Nobody: the network has no way outside.\nserver=/#/";

/**
 * The file of the nameservers that DNS asks in turn.
 *
 * @param isNatOff Guests do not get outside, so DNS carries nothing there for them, but to nameservers that the
 * network itself names.
 */
export function serversText(
  { nameservers }: NetworkServices,
  ofNode: readonly string[],
  isNatOff: boolean,
): string {
  const ofOthers = isNatOff ? ([NOBODY, []] as const) : ([OF_NODE, ofNode] as const);
  const [title, servers] = nameservers.length > 0 ? [OF_NETWORK, nameservers] : ofOthers;
  return `${[title, ...servers.map((address) => `server=${address}`)].join("\n")}\n`;
}

/** The nameservers of the network in that file. */
export function nameserversIn(text: string): string[] {
  if (!text.startsWith(OF_NETWORK)) return [];
  return [...text.matchAll(/^server=(.*)$/gm)].map(([, address]) => address ?? "");
}

/** Whether that file is for a network without a way outside; undefined if it does not depend on that. */
export function isNatOffIn(text: string): boolean | undefined {
  if (text.startsWith(NOBODY)) return true;
  return text.startsWith(OF_NODE) ? false : undefined;
}

/** The services that these files say; undefined if somebody else has written them. */
export function servicesIn(config: string, servers: string): NetworkServices | undefined {
  const { domain } = settingsIn(config);
  return validOrUndefined(() =>
    checkServices({ ...defined({ domain }), nameservers: nameserversIn(servers) }),
  );
}

/** The words that dnsmasq would read as something else than the name of a host. */
const NO_DHCP_NAME = /^(?:\d+[smhdw]?|infinite|ignore|deprecated)$|\./;

/** The line by which DHCP knows a guest; empty for a guest without an address. */
export function hostText({ hardwareAddress, name, ipv4Address, ipv6Address }: GuestEntry): string {
  if (ipv4Address === undefined && ipv6Address === undefined) return "";
  const ipv6 = ipv6Address === undefined ? undefined : `[${ipv6Address}]`;
  const hostname = name === undefined || NO_DHCP_NAME.test(name) ? undefined : name;
  const words = [hardwareAddress, ipv4Address, ipv6, hostname];
  return `${words.filter((word) => word !== undefined).join(",")}\n`;
}

/** The lines by which DNS knows a guest; empty without a name or an address. */
export function namesText(
  { name, ipv4Address, ipv6Address }: NamedGuest,
  domain: string | undefined,
): string {
  if (name === undefined) return "";
  const addresses = [ipv4Address, ipv6Address].filter((address) => address !== undefined);
  return namesOf(name, addresses, domain);
}

function namesOf(name: string, addresses: readonly string[], domain: string | undefined): string {
  if (addresses.length === 0) return "";
  const whole = domain === undefined ? name : `${name}.${domain}`;
  // The name by itself is for us: it shows where the domain begins.
  return [`# ${name}`, ...addresses.map((address) => `${address} ${whole}`), ""].join("\n");
}

/** The same lines in another domain; empty if they are not ours. */
export function inDomain(names: string, domain: string | undefined): string {
  return namesOf(
    nameIn(names) ?? "",
    nameIn(names) === undefined ? [] : addressesIn(names),
    domain,
  );
}

const ELSEWHERE = "# The guests on other nodes.\n";

/** The file by which DNS knows the guests on other nodes. */
export function elsewhereText(guests: readonly NamedGuest[], domain: string | undefined): string {
  const texts = guests.map((guest) => namesText(guest, domain));
  return `${ELSEWHERE}${texts.sort().join("")}`;
}

/** The guests in that file. */
export function guestsIn(elsewhere: string): NamedGuest[] {
  return elsewhere.split(/^(?=# )/m).flatMap((names) => {
    const name = nameIn(names);
    if (name === undefined) return [];
    const found = addressesIn(names);
    const ipv4Address = found.find((one) => !one.includes(":"));
    const ipv6Address = found.find((one) => one.includes(":"));
    return [{ name, ...defined({ ipv4Address, ipv6Address }) }];
  });
}

function addressesIn(names: string): string[] {
  return [...names.matchAll(/^([\da-f.:]+) /gm)].map(([, address]) => address ?? "");
}

function nameIn(names: string): string | undefined {
  return /^# (\S+)$/m.exec(names)?.[1];
}

/** The guest of these texts; undefined if they do not say one. */
export function entryIn(host: string, names: string): GuestEntry | undefined {
  const [hardwareAddress = "", ...words] = host.trim().split(",");
  const ipv4Address = words.find((word) => /^[\d.]+$/.test(word) && word.includes("."));
  const ipv6Address = words.find((word) => word.startsWith("["))?.slice(1, -1);
  const found = defined({ name: nameIn(names), ipv4Address, ipv6Address });
  return validOrUndefined(() => checkEntry({ hardwareAddress, ...found }));
}

function validOrUndefined<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof N0Error) return undefined;
    throw error;
  }
}
