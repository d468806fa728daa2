import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { byKey, lines, read, readJson } from "./tools.ts";

/** A device, without values that differ each time it is made: its number, a random hardware address. */
export interface Device {
  readonly kind: string;
  readonly alias?: string;
  readonly master?: string;
  readonly isUp: boolean;
  readonly addresses: readonly string[];
}

export interface Namespace {
  readonly devices: Readonly<Record<string, Device>>;
  readonly routes: readonly string[];
  readonly rules: readonly string[];
  /** By hardware address, the nodes of guests elsewhere, as the VXLAN device has them. */
  readonly remotes: Readonly<Record<string, string>>;
  /** The nodes that hear who asks for a shared address. */
  readonly hearers: readonly string[];
  /** The number of its VXLAN device. */
  readonly vni?: number;
  /** By address, the hardware addresses of guests elsewhere, for which the namespace answers. */
  readonly neighbours: Readonly<Record<string, string>>;
}

interface IpLink {
  readonly ifname: string;
  readonly ifalias?: string;
  readonly group?: string;
  readonly master?: string;
  readonly address?: string;
  readonly flags?: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { group?: unknown; id?: number };
  };
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

/** The hardware address of entries for all others. */
const ANYBODY = "00:00:00:00:00:00";
const NETNS_FOLDER = "/run/netns";
/** The names of the links between namespaces and the node depend on which names were free. */
const TRANSIT = /\b100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+(?:\/\d+)?/g;

export async function readNamespaces(prefix: string): Promise<Record<string, Namespace>> {
  const files = await readdir(NETNS_FOLDER).catch(() => []);
  const names = files.filter((name) => name.startsWith(prefix));
  return byKey(
    await Promise.all(names.map(async (name) => [name, await readNamespace(name)] as const)),
  );
}

async function readNamespace(name: string): Promise<Namespace> {
  const [links, routes, rules, entries, neighbours] = await Promise.all([
    readJson("ip", "-n", name, "-json", "-details", "address", "show"),
    read("ip", "-n", name, "route", "show"),
    read("ip", "netns", "exec", name, "nft", "-s", "list", "ruleset"),
    read("bridge", "-n", name, "fdb", "show"),
    read("ip", "-n", name, "neigh", "show", "nud", "permanent"),
  ]);
  const devices = ((links ?? []) as readonly IpLink[]).filter(({ ifname }) => ifname !== "lo");
  const vni = devices.find(({ ifname }) => ifname === "vx0")?.linkinfo?.info_data?.id;
  const ways = lines(entries).flatMap((line) => {
    const [, mac, remote] = /^(\S+) dev vx0 dst (\S+)/.exec(line) ?? [];
    return mac === undefined || remote === undefined ? [] : [[mac, remote] as const];
  });
  return {
    ...(vni === undefined ? {} : { vni }),
    devices: byKey(devices.map((link) => [link.ifname, deviceOf(link)] as const)),
    routes: lines(routes).map((line) => line.replace(TRANSIT, "<transit>").trim()),
    rules: withoutMarks(lines(blocksInOrder(rules)).map((line) => line.trim())),
    remotes: byKey(ways.filter(([mac]) => mac !== ANYBODY)),
    hearers: ways.flatMap(([mac, remote]) => (mac === ANYBODY ? [remote] : [])).sort(),
    neighbours: byKey(
      lines(neighbours).flatMap((line) => {
        const [, address, mac] = /^(\S+) dev \S+ lladdr (\S+)/.exec(line) ?? [];
        return address === undefined || mac === undefined ? [] : [[address, mac] as const];
      }),
    ),
  };
}

/** nft lists tables, and their sets and chains, in the order in which they came, which means nothing. */
function blocksInOrder(listing: string): string {
  const block = /^\t(?:set|map|chain) [^]*?^\t}\n/gm;
  const tables = listing.match(/^table [^]*?^}\n/gm) ?? [];
  const ordered = tables.map((table) => {
    const blocks = table.match(block) ?? [];
    return table.replaceAll(block, "").replace(/}\n$/, `${blocks.sort().join("")}}\n`);
  });
  return ordered.sort().join("");
}

/**
 * Each change of security groups, also one that is taken back, makes another mark and another generation current:
 * docs/adr/0063.
 */
function withoutMarks(rules: readonly string[]): string[] {
  let of = "";
  return rules.map((line) => {
    of = /^(?:set|map) (\S+) {/.exec(line)?.[1] ?? of;
    if (!line.startsWith("elements = ")) return line;
    if (of === "current" || of === "stamp") return "elements = { <mark> }";
    return line.replace(/0x00000001 comment "\d+"/, '0x00000001 comment "<generation>"');
  });
}

/** The devices of the node's own namespace with the prefix's mark or, if made and not marked yet, its group. */
export async function readDevices(prefix: string): Promise<Record<string, Device>> {
  const all = (await readJson("ip", "-json", "-details", "address", "show")) as readonly IpLink[];
  const group = String(0x6e300000 + (crc32(prefix) & 0xffff));
  const own = all.filter(
    ({ ifalias, group: linkGroup, linkinfo }) =>
      ifalias?.startsWith(`n0stack:${prefix}:`) === true ||
      linkGroup === group ||
      String(linkinfo?.info_data?.group) === group,
  );
  return byKey(own.map((link) => [link.ifname, deviceOf(link)] as const));
}

function deviceOf({ linkinfo, ifalias, master, flags = [], addr_info = [] }: IpLink): Device {
  const addresses = addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  return {
    kind: linkinfo?.info_kind ?? "",
    ...(ifalias === undefined ? {} : { alias: ifalias }),
    ...(master === undefined ? {} : { master }),
    isUp: flags.includes("UP"),
    // The kernel lists them in the order in which they came, which means nothing.
    addresses: addresses.map((address) => address.replace(TRANSIT, "<transit>")).sort(),
  };
}

/** Who may send packets of the segments here. */
export const segmentTable = (prefix: string) => `n0segments-${prefix}`;

/** The rules of each table of the prefix in the node's own namespace. */
export async function readTables(prefix: string): Promise<Record<string, readonly string[]>> {
  const tables = lines(await read("nft", "list", "tables")).map((line) =>
    line.replace(/^table /, ""),
  );
  const ours = [`n0stack-${prefix}`, segmentTable(prefix)];
  const own = tables.filter((table) => ours.includes(table.split(" ")[1] ?? ""));
  const rules = async (table: string) =>
    lines(withoutOwnNetworks(await read("nft", "-s", "list", "table", ...table.split(" "))));
  return byKey(await Promise.all(own.map(async (table) => [table, await rules(table)] as const)));
}

/** Anybody may join this computer to a network at any time, and the rules follow. Their comment changes with them. */
function withoutOwnNetworks(listing: string): string {
  return listing
    .replaceAll(/(set closed[46] {[^}]*elements = {)[^}]*}/g, "$1 <networks> }")
    .replace(/(comment "n0stack:[^"]*:node:)[^"]*"/, '$1<version>"');
}

/** The files of DHCP and DNS, by network. Their texts are compared with what guests get elsewhere. */
export async function readServices(folder: string): Promise<Record<string, readonly string[]>> {
  const networks = await readdir(folder).catch(() => []);
  const filesOf = async (network: string) => {
    const files = await readdir(join(folder, network), { recursive: true }).catch(() => []);
    return files.filter((file) => file !== "leases").sort();
  };
  return byKey(await Promise.all(networks.map(async (one) => [one, await filesOf(one)] as const)));
}

/** Mount points below one of `places`. */
export async function readMounts(places: readonly string[]): Promise<string[]> {
  const points = lines(await readFile("/proc/self/mountinfo", "utf8")).map(
    (line) => line.split(" ")[4] ?? "",
  );
  // A namespace may be mounted twice at one place if the mounts of /run are shared.
  return [
    ...new Set(points.filter((point) => places.some((place) => point.startsWith(place)))),
  ].sort();
}
