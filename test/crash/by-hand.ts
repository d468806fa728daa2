import { execFile } from "node:child_process";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "../../src/util/until.ts";
import type { Cluster } from "./cluster.ts";
import { guestStarted } from "./guest.ts";
import { must, type Request } from "./remote.ts";

const run = promisify(execFile);
/** A node without a heartbeat for 15 s is NOT_READY. */
const SILENCE_TIMEOUT_MS = 30_000;

/** Each stands in place of a request. The first ones only wait. */
export const GUEST_STARTED: Request = ["wait/guest started", {}];
/** The node `other`, whose agent sends no heartbeats. */
export const NODE_SILENT: Request = ["wait/node silent", {}];
/** What a user with root may do to the first node. */
export const DOMAIN_UNDEFINED: Request = ["harm/domain undefined", {}];
export const SEED_REMOVED: Request = ["harm/seed removed", {}];
export const SIDECAR_REMOVED: Request = ["harm/sidecar removed", {}];
export const NETWORK_RULES_DELETED: Request = ["harm/network rules deleted", {}];
export const NODE_RULES_DELETED: Request = ["harm/node rules deleted", {}];
export const TAP_UNPLUGGED: Request = ["harm/tap unplugged", {}];
export const NAMESPACE_ADDED: Request = ["harm/namespace added", {}];

type Hand = (cluster: Cluster) => Promise<unknown>;

const HANDS = new Map<string, Hand>([
  [GUEST_STARTED[0], guestStarted],
  [NODE_SILENT[0], nodeSilent],
  [DOMAIN_UNDEFINED[0], undefineDomains],
  [SEED_REMOVED[0], (cluster) => rm(join(baseOf(cluster), "vm", `web-${cluster.tag}`, "seed.iso"))],
  [SIDECAR_REMOVED[0], removeSidecar],
  [
    NETWORK_RULES_DELETED[0],
    (cluster) => inNetwork(cluster, "nft", "delete", "table", "inet", "n0stack"),
  ],
  [
    NODE_RULES_DELETED[0],
    (cluster) => run("nft", ["delete", "table", "inet", `n0stack-${prefixOf(cluster)}`]),
  ],
  [TAP_UNPLUGGED[0], unplugTap],
  [NAMESPACE_ADDED[0], (cluster) => run("ip", ["netns", "add", `${prefixOf(cluster)}empty`])],
]);

/** Undefined for a request to the API. */
export function byHand([method]: Request): Hand | undefined {
  return HANDS.get(method);
}

async function nodeSilent({ endpoint }: Cluster): Promise<void> {
  const isSilent = async () => {
    const body = await must(endpoint, ["NodeService/GetNode", { name: "other" }]);
    return (body as { state?: string }).state === "NOT_READY";
  };
  await until(isSilent, {
    timeoutMs: SILENCE_TIMEOUT_MS,
    what: "the silence of the node",
    everyMs: 100,
  });
}

async function undefineDomains(cluster: Cluster): Promise<void> {
  const virsh = ["--connect", cluster.places[0]?.libvirtUri ?? "", "--quiet"];
  const { stdout } = await run("virsh", [...virsh, "list", "--all", "--name"]);
  const names = stdout.split("\n").filter((name) => name.startsWith(prefixOf(cluster)));
  for (const name of names) await run("virsh", [...virsh, "undefine", name]);
}

async function removeSidecar(cluster: Cluster): Promise<void> {
  const volumes = join(baseOf(cluster), "volumes");
  const names = (await readdir(volumes)).filter((name) => /^data\..*\.json$/.test(name));
  for (const name of names) await rm(join(volumes, name));
}

async function unplugTap(cluster: Cluster): Promise<void> {
  const { stdout } = await inNetwork(cluster, "ip", "-json", "link", "show", "type", "tun");
  const taps = JSON.parse(stdout) as { ifname: string }[];
  await inNetwork(cluster, "ip", "link", "set", "dev", taps[0]?.ifname ?? "", "nomaster");
}

function inNetwork(cluster: Cluster, ...command: string[]): Promise<{ readonly stdout: string }> {
  return run("ip", ["netns", "exec", `${prefixOf(cluster)}net`, ...command]);
}

function prefixOf({ places }: Cluster): string {
  return places[0]?.prefix ?? "";
}

function baseOf({ places }: Cluster): string {
  return places[0]?.baseDirectory ?? "";
}
