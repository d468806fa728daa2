import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Place } from "../../scripts/scan-host/host.ts";
import { defined } from "../../src/util/defined.ts";
import { until } from "../../src/util/until.ts";
import { freePort } from "../free-port.ts";
import { type ServedNode, serveFakeNode } from "../served-node.ts";
import { newTokenFile, type TokenFile } from "../token-file.ts";
import { makeFolder, prefixOf, removeAbandoned } from "./abandoned.ts";
import { type Controls, newControls } from "./controls.ts";
import { type Disk, mountDisk } from "./disk.ts";
import { type Libvirtd, openLibvirtd } from "./libvirtd.ts";
import { newProgram, type Program } from "./program.ts";
import { openRelay, type Relay } from "./relay.ts";
import { removeRemains } from "./remains.ts";
import { bearToken, call } from "./remote.ts";

/**
 * `standalone` dies as a whole, and uses the host's libvirtd. `split` has an API, its agents and a libvirtd of
 * its own, which die separately.
 */
export type ClusterKind = "standalone" | "split";

export interface Cluster extends Controls, AsyncDisposable {
  readonly kind: ClusterKind;
  /** No other run on this host has it. */
  readonly tag: string;
  readonly endpoint: string;
  /** The operators' token, which all servers get. */
  readonly tokenFile: TokenFile;
  /** Holds all files of all places. */
  readonly folder: string;
  readonly places: readonly Required<Place>[];
  readonly database: string;
  /** The server with the fault points. */
  readonly api: Program;
  /** The agents of `split`. */
  readonly agents: readonly Program[];
  readonly libvirtd?: Libvirtd;
  /** For `split`: the network to each agent, the disk of each agent, and that of the API. */
  readonly relays: readonly Relay[];
  /** The agent of the node `other`, which belongs to no place and never dies. */
  readonly other: ServedNode;
  readonly nodeDisks: readonly Disk[];
  readonly apiDisk?: Disk;
  /** Starts the servers that do not run. @returns false if the API died before it was ready. */
  start(): Promise<boolean>;
}

const READY_TIMEOUT_MS = 30_000;

export interface ClusterOptions {
  readonly kind: ClusterKind;
  readonly nodeCount?: number;
}

/** Once in a process. */
let abandonedRemoved: Promise<void> | undefined;

export async function openCluster({ kind, nodeCount = 1 }: ClusterOptions): Promise<Cluster> {
  await (abandonedRemoved ??= removeAbandoned());
  const id = randomBytes(3).toString("hex");
  const folder = makeFolder(id);
  mkdirSync(join(folder, "1"));
  const isWhole = kind === "standalone";
  const apiFolder = isWhole ? join(folder, "1") : join(folder, "api");
  // Before libvirtd, which sees only the mounts that exist when it starts.
  const apiDisk = isWhole ? undefined : mountDisk(apiFolder);
  const nodeDisks = isWhole
    ? []
    : Array.from({ length: nodeCount }, (_, i) => mountDisk(join(folder, String(i + 1))));
  const libvirtd = kind === "split" ? await openLibvirtd(join(folder, "libvirt")) : undefined;
  const libvirtUri = libvirtd?.uri ?? "qemu:///system";
  const places = Array.from({ length: nodeCount }, (_, i) => ({
    prefix: prefixOf(id, i + 1),
    baseDirectory: join(folder, String(i + 1)),
    nodeName: `node-${i + 1}`,
    libvirtUri,
  }));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const tokenFile = newTokenFile(folder);
  bearToken(endpoint, tokenFile.token);
  const secured = ["--token-file", tokenFile.path];
  const apiFlags = ["--bind-port", String(port), "--nameservers", "192.0.2.53", ...secured];
  const { env, ...controls } = newControls(folder);
  const api = newProgram({
    name: isWhole ? "standalone" : "api",
    folder,
    env,
    args: isWhole
      ? ["standalone", ...apiFlags, ...nodeFlags(places[0]!)]
      : ["api", ...apiFlags, "--base-directory", apiFolder],
  });
  const other = await serveFakeNode("other", tokenFile.token);
  const { relays, agents } = await openAgents(isWhole ? [] : places, folder, [
    ...["--node-api-endpoint", endpoint],
    ...secured,
  ]);
  return {
    ...controls,
    kind,
    tag: id,
    endpoint,
    tokenFile,
    folder,
    places,
    database: join(apiFolder, "api", "n0core.sqlite"),
    api,
    agents,
    other,
    ...defined({ libvirtd }),
    relays,
    nodeDisks,
    ...defined({ apiDisk }),
    async start() {
      const stopped = [api, ...agents].filter((program) => !program.isRunning);
      const isUp = await Promise.all(stopped.map((program) => program.start()));
      if (!api.isRunning || !isUp.every(Boolean)) return false;
      await until(() => isReady(endpoint, nodeCount), {
        timeoutMs: READY_TIMEOUT_MS,
        what: "the nodes being READY",
      });
      return true;
    },
    async [Symbol.asyncDispose]() {
      for (const program of [...agents, api]) program.signal("SIGKILL");
      for (const program of [...agents, api]) await program.ended();
      for (const { prefix } of places) await removeRemains(prefix, libvirtUri);
      await libvirtd?.[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      for (const relay of relays) await relay[Symbol.asyncDispose]();
      for (const disk of nodeDisks) disk[Symbol.dispose]();
      apiDisk?.[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The agent of each place, behind a network of its own. */
async function openAgents(places: Cluster["places"], folder: string, common: readonly string[]) {
  const relays: Relay[] = [];
  const agents: Program[] = [];
  for (const place of places) {
    const port = await freePort();
    const relay = await openRelay(port);
    relays.push(relay);
    const flags = [
      ...["--bind-port", String(port), ...common],
      ...["--advertise-address", `127.0.0.1:${relay.port}`],
    ];
    const args = ["agent", ...flags, ...nodeFlags(place)];
    agents.push(newProgram({ name: place.nodeName, folder, args }));
  }
  return { relays, agents };
}

function nodeFlags({ prefix, baseDirectory, nodeName, libvirtUri }: Required<Place>): string[] {
  return [
    ...["--name", nodeName, "--base-directory", baseDirectory],
    ...["--resource-prefix", prefix, "--accelerator", "tcg"],
    ...["--libvirt-uri", libvirtUri],
    // The same on every host, so that looks can be compared.
    ...["--cpu-capacity-milli-cores", "16000", "--memory-capacity-bytes", "64GiB"],
    ...["--storage-capacity-bytes", "1TiB"],
  ];
}

async function isReady(endpoint: string, nodeCount: number): Promise<boolean> {
  const { body } = await call(endpoint, ["NodeService/ListNodes", {}]);
  const { nodes = [] } = body as { nodes?: { state?: string }[] };
  return nodes.filter(({ state }) => state === "READY").length >= nodeCount;
}
