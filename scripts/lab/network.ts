import { existsSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { ifThereSync } from "../../src/util/errno.ts";
import { type Host, type Lab, operatorOf, PREFIX_LENGTH, switchOf } from "./lab.ts";
import { ask, must } from "./programs.ts";

const NETNS_FOLDER = "/run/netns";
const NSFS_MAGIC = 0x6e736673;
const BRIDGE = "bridge";
/** The port of this computer at the switch. */
const OPERATOR = "operator";
/** The name of a host's link to the switch, in the host. */
const LINK = "eth0";

/** Frames between two ports pass unless both are in the set. Can be applied again. */
const RULES = `
add table bridge lab
add set bridge lab cut { type ifname . ifname; }
add chain bridge lab forward { type filter hook forward priority 0; }
flush chain bridge lab forward
add rule bridge lab forward iifname . oifname @cut drop
`;

const ip = (...args: readonly string[]) => must("ip", args);

/** Makes the switch, with the port of this computer, or what is missing of it. */
export async function ensureSwitch(lab: Lab): Promise<void> {
  const place = switchOf(lab);
  const { link, address } = operatorOf(lab);
  await ensureNamespace(place);
  const links = await linksIn(place);
  if (!links.has(BRIDGE)) await ip("-n", place, "link", "add", BRIDGE, "type", "bridge");
  await ip("-n", place, "link", "set", BRIDGE, "up");
  await must("ip", ["netns", "exec", place, "nft", "-f", "-"], { input: RULES });
  if (!links.has(OPERATOR)) {
    const peer = ["peer", "name", OPERATOR, "netns", place];
    await ip("link", "add", link, "type", "veth", ...peer);
  }
  await ip("-n", place, "link", "set", OPERATOR, "master", BRIDGE, "up");
  await ip("address", "replace", `${address}/${PREFIX_LENGTH}`, "dev", link);
  await ip("link", "set", link, "up");
}

/** Makes the host's network namespace and its link to the switch, or what is missing of them. */
export async function ensureLink({ lab, name, namespace, address }: Host): Promise<void> {
  const place = switchOf(lab);
  await ensureNamespace(namespace);
  if (!(await linksIn(place)).has(name)) {
    const peer = ["peer", "name", name, "netns", place];
    await ip("-n", namespace, "link", "add", LINK, "type", "veth", ...peer);
  }
  await ip("-n", place, "link", "set", name, "master", BRIDGE, "up");
  await ip("-n", namespace, "address", "replace", `${address}/${PREFIX_LENGTH}`, "dev", LINK);
  for (const link of ["lo", LINK]) await ip("-n", namespace, "link", "set", link, "up");
}

/** Removes the host's link and its network namespace, with all that was in it. */
export async function removeLink({ lab, name, namespace }: Host): Promise<void> {
  const place = switchOf(lab);
  // The kernel removes the links of a namespace some time after the namespace, but a link alone at once.
  if (isNamespace(place)) await ask("ip", ["-n", place, "link", "delete", name]);
  await removeNamespace(namespace);
}

/** Removes the networks of all hosts, the switch, and the link of this computer. */
export async function removeNetwork(lab: Lab): Promise<void> {
  const own = switchOf(lab).replace(/switch$/, "");
  const names = ifThereSync(() => readdirSync(NETNS_FOLDER)) ?? [];
  for (const name of names.filter((other) => other.startsWith(own))) await removeNamespace(name);
  // It ends with the switch, unless that was never finished.
  await ask("ip", ["link", "delete", operatorOf(lab).link]);
}

async function removeNamespace(name: string): Promise<void> {
  if (existsSync(join(NETNS_FOLDER, name))) await ip("netns", "delete", name);
}

/** The pairs of hosts that are cut from each other, each once. */
export async function readCuts(lab: Lab): Promise<readonly (readonly [string, string])[]> {
  const place = switchOf(lab);
  if (!isNamespace(place)) return [];
  const { isGood, stdout } = await ask("ip", [
    ...["netns", "exec", place, "nft", "-j", "list", "set", "bridge", "lab", "cut"],
  ]);
  if (!isGood) return [];
  const { nftables } = JSON.parse(stdout) as { nftables: readonly { set?: CutSet }[] };
  const pairs = nftables.flatMap(({ set }) => set?.elem ?? []).map(({ concat }) => concat);
  return pairs.filter(([a, b]) => a < b);
}

interface CutSet {
  readonly elem?: readonly { readonly concat: readonly [string, string] }[];
}

/** Drops all packets between two hosts. */
export async function cut(lab: Lab, a: string, b: string): Promise<void> {
  await changeCuts(lab, "add", a, b);
}

/** Lets packets pass again between two hosts that are cut from each other. */
export async function heal(lab: Lab, a: string, b: string): Promise<void> {
  await changeCuts(lab, "delete", a, b);
}

async function changeCuts(lab: Lab, verb: "add" | "delete", a: string, b: string): Promise<void> {
  const elements = `{ "${a}" . "${b}", "${b}" . "${a}" }`;
  const input = `${verb} element bridge lab cut ${elements}\n`;
  await must("ip", ["netns", "exec", switchOf(lab), "nft", "-f", "-"], { input });
}

async function ensureNamespace(name: string): Promise<void> {
  if (isNamespace(name)) return;
  // A file without a namespace: its maker died in between.
  await removeNamespace(name);
  await ip("netns", "add", name);
}

export function isNamespace(name: string): boolean {
  return ifThereSync(() => statfsSync(join(NETNS_FOLDER, name)).type) === NSFS_MAGIC;
}

async function linksIn(place: string): Promise<ReadonlySet<string>> {
  const links = JSON.parse(await ip("-n", place, "-json", "link", "show")) as readonly IpLink[];
  return new Set(links.map(({ ifname }) => ifname));
}

interface IpLink {
  readonly ifname: string;
}
