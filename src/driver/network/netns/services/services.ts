import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { defined } from "../../../../util/defined.ts";
import { gatewaysOf } from "../../network-check.ts";
import type { NetworkSpec } from "../../network-driver.ts";
import { checkServices, type GuestEntry, type NetworkServices } from "../../network-services.ts";
import type { Segment } from "../../segment.ts";
import type { Context } from "../context.ts";
import { namespaceAt } from "../namespace.ts";
import { reload, serverOf, startServer, stopServer } from "./dnsmasq.ts";
import { forgetLeases } from "./leases.ts";
import {
  filesOf,
  makeFolders,
  namesIn,
  readText,
  replaceFile,
  type ServiceFiles,
} from "./service-files.ts";
import {
  configText,
  elsewhereText,
  guestsIn,
  hostText,
  inDomain,
  isNatOffIn,
  namesText,
  serversText,
  servicesIn,
  settingsIn,
} from "./service-text.ts";

/**
 * Lets dnsmasq serve the network as `network` says, in a namespace that is ready. It starts with the first guest,
 * and again for other gateways or another domain; other nameservers it only reads. The caller holds the network.
 *
 * The configuration is written while no process runs. So one that runs was started with it.
 */
export async function ensureServices(context: Context, network: NetworkSpec): Promise<void> {
  if (network.services === undefined) return;
  const services = checkServices(network.services);
  const { name } = network;
  const gateways = gatewaysOf(network);
  // Nobody could ask it.
  if (gateways.length === 0) return await removeServices(context, name);
  const { files, path } = placeOf(context, name);
  const bridge = context.names.bridge(name);
  const before = settingsIn(readText(files.config));
  const mtu = network.mtu ?? before.mtu;
  const config = configText({ bridge, gateways, ...defined({ domain: services.domain, mtu }) });
  const servers = serversText(services, context.nameservers, network.isNatOff === true);
  const pid = serverOf(files, path);
  if (pid !== undefined && readText(files.config) === config) {
    if (replaceFile(files, files.servers, servers)) reload(pid);
    return;
  }
  await stopServer(name, files);
  makeFolders(files);
  replaceFile(files, files.servers, servers);
  replaceFile(files, files.config, config);
  await start(context, name);
}

/** The same for a guest that comes, which does not change whether guests get outside. */
export async function joinServices(context: Context, network: NetworkSpec): Promise<void> {
  const { files } = placeOf(context, network.name);
  const isNatOff = isNatOffIn(readText(files.servers)) ?? network.isNatOff === true;
  await ensureServices(context, { ...network, ...(isNatOff ? { isNatOff } : {}) });
}

/** The same with the services that it has, for a change of its gateways by who does not say services. */
export async function refreshServices(context: Context, network: NetworkSpec): Promise<void> {
  const { files } = placeOf(context, network.name);
  const services = network.services ?? servicesHere(files);
  if (services !== undefined) await ensureServices(context, { ...network, services });
}

/** Tells DNS who is on other nodes. The caller holds the network. */
export function nameGuestsElsewhere(context: Context, { networkName, peers }: Segment): void {
  const { files, path } = placeOf(context, networkName);
  const config = readText(files.config);
  if (config === "") return;
  const guests = peers.flatMap(({ entry }) => entry ?? []);
  const text = elsewhereText(guests, settingsIn(config).domain);
  if (!replaceFile(files, files.elsewhere, text)) return;
  const pid = serverOf(files, path);
  if (pid !== undefined) reload(pid);
}

/** Tells DHCP and DNS of the guest behind a tap. The caller holds the network. */
export async function ensureEntry(
  context: Context,
  networkName: string,
  tapName: string,
  entry: GuestEntry,
): Promise<void> {
  const { files, path } = placeOf(context, networkName);
  const config = readText(files.config);
  if (config === "") return;
  const { host, names } = filesOfEntry(files, tapName);
  const isNew = readText(host) === "";
  const hasNewHost = replaceFile(files, host, hostText(entry));
  replaceFile(files, names, namesText(entry, settingsIn(config).domain));
  // dnsmasq reads a new file by itself. Of a changed one it would keep what the former one said.
  const pid = isNew || !hasNewHost ? undefined : serverOf(files, path);
  if (pid !== undefined) reload(pid);
}

/**
 * Lets DHCP and DNS forget the guests behind these taps, which are gone. It reloads also if there is nothing to
 * remove: an attempt that died may have removed the files only.
 */
export async function removeEntries(
  context: Context,
  networkName: string,
  tapNames: readonly string[],
): Promise<void> {
  const { files, path } = placeOf(context, networkName);
  if (readText(files.config) === "") return;
  const pid = serverOf(files, path);
  const places = tapNames.map((tapName) => filesOfEntry(files, tapName));
  if (pid !== undefined) {
    const bridge = context.names.bridge(networkName);
    const hosts = places.map(({ host }) => readText(host));
    await forgetLeases(context.run, files, path, bridge, hosts);
  }
  for (const { host, names } of places) {
    rmSync(host, { force: true });
    rmSync(names, { force: true });
  }
  if (pid !== undefined) reload(pid);
}

/** Removes the entries of taps that are not there. */
export async function removeStrayEntries(
  context: Context,
  networkName: string,
  tapNames: readonly string[],
): Promise<void> {
  const { files } = placeOf(context, networkName);
  const all = new Set([...namesIn(files.hosts), ...namesIn(files.names)]);
  const strays = [...all].filter((tapName) => !tapNames.includes(tapName));
  if (strays.length > 0) await removeEntries(context, networkName, strays);
}

/**
 * Ends the services of the network and removes their files. The caller holds the network.
 *
 * @param isThorough Also looks for processes if there are no files. Only somebody else can have removed these: the
 * folder is made before the first process, and removed after the last one.
 */
export async function removeServices(
  context: Context,
  networkName: string,
  isThorough = false,
): Promise<void> {
  const { files } = placeOf(context, networkName);
  if (!isThorough && !existsSync(files.folder)) return;
  await stopServer(networkName, files);
  rmSync(files.folder, { recursive: true, force: true });
}

/**
 * Starts what should run and does not, and removes what has no network: after a death of dnsmasq, or a restart of
 * the node. Gives the nameservers of the node to networks without their own.
 *
 * @returns whether anything was done. The caller holds the network.
 */
export async function keepServices(context: Context, networkName: string): Promise<boolean> {
  const { files, path } = placeOf(context, networkName);
  if (namespaceAt(path) !== "namespace") {
    await removeServices(context, networkName, true);
    return true;
  }
  const services = servicesHere(files);
  if (services === undefined) return false;
  const pid = serverOf(files, path);
  const isNatOff = isNatOffIn(readText(files.servers)) === true;
  const servers = serversText(services, context.nameservers, isNatOff);
  const isChanged = replaceFile(files, files.servers, servers);
  if (pid !== undefined && !isChanged) return false;
  if (pid === undefined) await start(context, networkName);
  else reload(pid);
  return true;
}

/** The services that the files say, which may not run; undefined if there are none. */
export function servicesHere(files: ServiceFiles): NetworkServices | undefined {
  const config = readText(files.config);
  return config === "" ? undefined : servicesIn(config, readText(files.servers));
}

export function placeOf(context: Context, networkName: string) {
  return {
    files: filesOf(context.servicesFolder, networkName),
    path: context.names.netnsPath(networkName),
  };
}

export function filesOfEntry({ hosts, names }: ServiceFiles, tapName: string) {
  return { host: join(hosts, tapName), names: join(names, tapName) };
}

/**
 * Starts it with the files that are there. Names get the domain of the configuration, because an attempt that died
 * may have changed that and not yet them, or the other way round.
 */
async function start(context: Context, networkName: string): Promise<void> {
  const { files, path } = placeOf(context, networkName);
  await stopServer(networkName, files);
  const { domain } = settingsIn(readText(files.config));
  for (const tapName of namesIn(files.names)) {
    const { names } = filesOfEntry(files, tapName);
    replaceFile(files, names, inDomain(readText(names), domain));
  }
  const elsewhere = elsewhereText(guestsIn(readText(files.elsewhere)), domain);
  replaceFile(files, files.elsewhere, elsewhere);
  await startServer(context.run, networkName, files, path);
}
