import { join } from "node:path";
import type { ConnectRouter, Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import type { AgentDeps, NodeCapacity } from "../agent/agent-deps.ts";
import type { DriversConfig } from "../agent/drivers.ts";
import { openDrivers } from "../agent/drivers.ts";
import { keepGuestWall } from "../agent/guest-wall.ts";
import { newKeyedQueue } from "../agent/keyed-queue.ts";
import { keepMetadata } from "../agent/metadata/keep-metadata.ts";
import { keepNetworkServices } from "../agent/network-services.ts";
import { keepRegistered } from "../agent/registration.ts";
import { agentRoutes } from "../agent/routes.ts";
import { readUnderlay } from "../agent/underlay.ts";
import { LOCAL_SOURCES } from "../driver/volume/web/source-addresses.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { AGENT_PORT_DEFAULT, baseUrlOf } from "../rpc/transport.ts";
import { systemClock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import type { Log } from "../util/log.ts";
import { systemRandom } from "../util/random.ts";
import type { WebProxies } from "../util/web-proxies.ts";
import type { Protection } from "./exposure.ts";
import { isUnprotected } from "./exposure.ts";
import type { NodeSettings } from "./settings.ts";
import { readVersion } from "./version.ts";
import { webProxiesFrom } from "./web-proxies.ts";

/** The agent of this node, with or without a socket. */
export interface AgentPart extends AsyncDisposable {
  readonly routes: (router: ConnectRouter) => void;
  /**
   * Registers the node with the API and sends heartbeats, until the returned function is called. `address`
   * is where the API reaches `routes`.
   */
  register(
    api: Transport,
    address: string,
    onRevoked?: (keys: readonly string[]) => void,
  ): () => Promise<void>;
  /** The work that runs on the node. */
  stillRuns(): readonly string[];
}

/**
 * Opens the drivers of this node.
 *
 * @throws N0Error `failed_precondition` if another agent uses the base directory, or if something that the
 *   drivers need is missing.
 */
export async function openAgent(
  settings: NodeSettings,
  log: Log,
  { toAgents, admitCopy }: Pick<Protection, "toAgents"> & Pick<AgentDeps, "admitCopy">,
  peers: { transportTo(address: string, nodeName: string): Transport },
  open: typeof openDrivers = openDrivers,
): Promise<AgentPart> {
  await using opened = new AsyncDisposableStack();
  const webProxies = webProxiesFrom(process.env);
  const { http, https } = webProxies;
  if ((http ?? https) !== undefined) {
    log.info("images are fetched through a proxy", { http: http?.host, https: https?.host });
  }
  const ending = new AbortController();
  const drivers = opened.use(await open(driversConfig(settings, webProxies), log));
  const { network } = drivers;
  // An agent without protection listens only if the rules against guests hold.
  if (isUnprotected(settings)) await network.keepNodeRules(ending.signal);
  const wall = keepGuestWall({ network, clock: systemClock, log, signal: ending.signal });
  opened.defer(() => wall);
  const services = keepNetworkServices({ network, clock: systemClock, log, signal: ending.signal });
  opened.defer(() => services);
  const metadata = keepMetadata({ ...drivers, clock: systemClock, log, signal: ending.signal });
  opened.defer(() => metadata);
  const queue = newKeyedQueue({ signal: ending.signal, clock: systemClock, log });
  const agentToken = toAgents.token?.value;
  let address: string | undefined;
  opened.defer(() => queue.whenIdle());
  opened.defer(() => ending.abort());
  const routes = agentRoutes({
    ...drivers,
    queue,
    connectPeer: (peer, node) => createClient(VolumeAgentService, peers.transportTo(peer, node)),
    whoAmI: () =>
      address === undefined
        ? undefined
        : {
            nodeName: settings.name,
            address,
            ...defined({ agentToken }),
          },
    ...defined({ admitCopy }),
    readCapacity: async () => ({ ...(await drivers.readFacts()), ...capacityOf(settings) }),
    clock: systemClock,
    log,
  });
  const parts = opened.move();
  return {
    routes,
    register: (api, ownAddress, onRevoked) => {
      address = ownAddress;
      const leaving = new AbortController();
      const registration = keepRegistered({
        nodes: createClient(NodeService, api),
        identity: identityOf(settings, ownAddress, drivers.compute.accelerator),
        readFacts: drivers.readFacts,
        readUnderlay: () => {
          const { hostname } = new URL(baseUrlOf(ownAddress, AGENT_PORT_DEFAULT));
          const { signal } = leaving;
          return readUnderlay({ network, log, signal }, settings.underlayAddress, hostname);
        },
        clock: systemClock,
        random: systemRandom,
        log,
        ...defined({ onRevoked }),
        signal: leaving.signal,
      });
      return async () => {
        leaving.abort();
        await registration;
      };
    },
    stillRuns: () => queue.runningKeys,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function driversConfig(settings: NodeSettings, webProxies: WebProxies): DriversConfig {
  const { baseDirectory, accelerator, libvirtUri, resourcePrefix, imageSizeMax, storageFreeMin } =
    settings;
  const { allowedSources, nameservers, guestDestinations } = settings;
  return {
    baseDirectory,
    accelerator,
    libvirtUri,
    resourcePrefix,
    allowedFileFolders: settings.allowedFileFolders ?? [join(baseDirectory, "images")],
    allowedSources: [...allowedSources, ...(settings.allowLocalSources ? LOCAL_SOURCES : [])],
    nameservers,
    guestDestinations,
    forwardsIpv6: settings.guestIpv6 === "auto",
    vlanDevice: settings.vlanExternalInterface,
    webProxies,
    virtualSizeBytesMax: imageSizeMax,
    freeBytesMin: storageFreeMin,
    imagesAtOnceMax: settings.imagesAtOnceMax,
  };
}

/** The values that settings give instead of the node. */
function capacityOf(settings: NodeSettings): Partial<NodeCapacity> {
  const { cpuCapacityMilliCores, memoryCapacityBytes, storageCapacityBytes } = settings;
  return defined({
    cpuMilliCores: cpuCapacityMilliCores,
    memoryBytes: memoryCapacityBytes,
    storageBytes: storageCapacityBytes,
  });
}

function identityOf(settings: NodeSettings, address: string, accelerator: string) {
  return {
    name: settings.name,
    address,
    location: settings.location,
    accelerator,
    reserveLimits: !settings.overcommit,
    version: readVersion(),
    capacity: capacityOf(settings),
  };
}
