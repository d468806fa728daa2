import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { createClient, type Transport } from "@connectrpc/connect";
import type { AgentDeps } from "../../agent/agent-deps.ts";
import { VolumeAgentService } from "../../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { JoinService } from "../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import type { Caller } from "../../rpc/caller.ts";
import { checkCopyTicket } from "../../rpc/certificate/copy-ticket.ts";
import { type AdmitCertificate, notNow } from "../../rpc/certificate/gate.ts";
import type { Identity } from "../../rpc/certificate/identity.ts";
import { renewedTransport } from "../../rpc/renewed-transport.ts";
import type { ServerTls } from "../../rpc/server-tls.ts";
import {
  AGENT_PORT_DEFAULT,
  API_PORT_DEFAULT,
  baseUrlOf,
  openTransport,
} from "../../rpc/transport.ts";
import { systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import { systemRandom } from "../../util/random.ts";
import { formatRef, nodeRef, parseRef } from "../../util/ref.ts";
import { openPeers } from "../peers.ts";
import type { Settings } from "../settings.ts";
import { joinOnce } from "./join.ts";
import { type NodeIdentity, readIdentity, timesOf, writeIdentity } from "./node-identity.ts";
import { keepRenewed } from "./renew.ts";

const RENEW_TIMEOUT_MS = 10_000;
const { parent, name } = VolumeAgentService.method.readVolume;
const READ_PATH = `/${parent.typeName}/${name}`;

/** What an agent with a certificate serves and calls with. */
export interface JoinedAgent extends AsyncDisposable {
  readonly toApi: Transport;
  readonly peers: { transportTo(address: string, nodeName: string): Transport };
  /** The certificate changes: see `onRenewed`. */
  tls(): ServerTls;
  onRenewed(listener: (tls: ServerTls) => void): void;
  readonly admitCertificate: AdmitCertificate;
  /** Another node needs a ticket of the API for each volume that it reads. */
  readonly admitCopy: NonNullable<AgentDeps["admitCopy"]>;
  /** Takes the keys of nodes that count no longer. Until it has heard of them, no other node may read here. */
  onRevoked(keys: readonly string[]): void;
}

/**
 * The certificate of this node: joins with the given token, if there is one.
 *
 * @returns undefined for an agent that shares a token with its API.
 * @throws N0Error `failed_precondition` if it has the certificate of another node.
 */
export async function identityOf(
  settings: Settings<"agent">,
  log: Log,
): Promise<NodeIdentity | undefined> {
  const { baseDirectory, name: nodeName, nodeApiEndpoint: apiEndpoint, join: token } = settings;
  const deps = { clock: systemClock, random: systemRandom, log };
  if (token !== undefined) {
    const { signal } = new AbortController();
    return await joinOnce({ baseDirectory, nodeName, apiEndpoint, token, ...deps, signal });
  }
  const identity = readIdentity(baseDirectory);
  if (identity === undefined || identity.nodeName === nodeName) return identity;
  throw new N0Error(
    "failed_precondition",
    `this node has joined as "${identity.nodeName}", not as "${nodeName}": give --name ${identity.nodeName}, ` +
      `or join again with a token of "n0cli node join-token --node ${nodeName}"`,
  );
}

/** The address of this node from which packets to the API leave. Sends none. */
export async function addressTowards(apiEndpoint: string): Promise<string> {
  const { hostname, port } = new URL(baseUrlOf(apiEndpoint, API_PORT_DEFAULT));
  const { address, family } = await lookup(hostname.replace(/^\[(.*)\]$/, "$1"));
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.connect(Number(port || 443), address, resolve);
    });
    return socket.address().address;
  } catch (cause) {
    const message = `bind-address: must be given, because no way leads to ${apiEndpoint}`;
    throw new N0Error("failed_precondition", message, { cause });
  } finally {
    socket.close();
  }
}

export function openJoinedAgent(
  joined: NodeIdentity,
  { baseDirectory, nodeApiEndpoint }: Pick<Settings<"agent">, "baseDirectory" | "nodeApiEndpoint">,
  log: Log,
): JoinedAgent {
  let identity = joined;
  let revoked: ReadonlySet<string> | undefined;
  const listeners: ((tls: ServerTls) => void)[] = [];
  const own = () => ({ cert: identity.certificate + identity.authority, key: identity.key });
  const transport = (address: string, port: number, expected: Identity) =>
    renewedTransport(
      () =>
        openTransport(address, port, {
          mutual: { authority: identity.authority, own: own(), expected },
        }),
      () => identity.certificate,
    );
  const toApi = transport(nodeApiEndpoint, API_PORT_DEFAULT, { kind: "api" });
  const peers = openPeers({}, systemClock, (key) => {
    const [nodeName = "", address = ""] = key.split("\n");
    return transport(address, AGENT_PORT_DEFAULT, { kind: "node", name: nodeName });
  });
  const tls = (): ServerTls => ({ ...own(), authority: identity.authority, agentsOnly: true });
  const ending = new AbortController();
  const joins = createClient(JoinService, toApi);
  const renewing = keepRenewed({
    times: () => timesOf(identity),
    renew: async (signal) => {
      const call = { signal, timeoutMs: RENEW_TIMEOUT_MS };
      const { certificate } = await joins.renewCertificate({ nodeName: identity.nodeName }, call);
      identity = { ...identity, certificate };
      writeIdentity(baseDirectory, identity);
      for (const listener of listeners) listener(tls());
    },
    clock: systemClock,
    random: systemRandom,
    log,
    signal: ending.signal,
  });
  return {
    toApi,
    peers: { transportTo: (address, nodeName) => peers.transportTo(`${nodeName}\n${address}`) },
    tls,
    onRenewed: (listener) => void listeners.push(listener),
    admitCertificate: (certificate, path) => {
      const late = notNow(certificate);
      if (late !== undefined) return late;
      if (certificate.identity.kind === "api") return API;
      const { name: peer } = certificate.identity;
      const refusal = refusalOfPeer(peer, certificate.keyHash, path, revoked);
      return refusal ?? { principal: formatRef(nodeRef(peer)), groups: [] };
    },
    admitCopy: ({ principal }, volumeId, ticket) => {
      if (principal === API.principal) return;
      const readerNode = parseRef(principal)?.name ?? "";
      const copy = { volumeId, sourceNode: identity.nodeName, readerNode };
      checkCopyTicket(ticket, copy, identity.authority, systemClock.nowMs());
    },
    onRevoked: (keys) => {
      revoked = new Set(keys);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await renewing;
      peers[Symbol.dispose]();
      toApi.close();
    },
  };
}

const API: Caller = { principal: "system", groups: [] };

/** Another node may copy volumes, and nothing else. */
function refusalOfPeer(
  nodeName: string,
  keyHash: string,
  path: string,
  revoked: ReadonlySet<string> | undefined,
): N0Error | undefined {
  if (path !== READ_PATH) {
    return new N0Error("permission_denied", `node "${nodeName}" may do nothing on another node`);
  }
  if (revoked === undefined) {
    const message = "this agent has not heard from the API yet which certificates are revoked";
    return new N0Error("unavailable", message, { retryAfterMs: 1_000 });
  }
  return revoked.has(keyHash)
    ? new N0Error("unauthenticated", `the certificate of node "${nodeName}" is revoked`)
    : undefined;
}
