import { hostname, networkInterfaces } from "node:os";
import type { Transport } from "@connectrpc/connect";
import { revoked } from "../../api/pool/certificate/join.ts";
import type { Api } from "../../api/pool/context.ts";
import { JoinService } from "../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { type AdmitCertificate, notNow } from "../../rpc/certificate/gate.ts";
import { isUnspecified } from "../../rpc/host.ts";
import type { ListenOptions } from "../../rpc/listen.ts";
import { renewedTransport } from "../../rpc/renewed-transport.ts";
import type { ServerTls } from "../../rpc/server-tls.ts";
import { AGENT_PORT_DEFAULT, openTransport } from "../../rpc/transport.ts";
import { systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import { LOOPBACK_HOSTS } from "../../util/loopback.ts";
import { systemRandom } from "../../util/random.ts";
import { formatRef, nodeRef } from "../../util/ref.ts";
import { hasAuthority } from "../authority-folder.ts";
import type { Protection } from "../exposure.ts";
import { openPeers } from "../peers.ts";
import type { Settings } from "../settings.ts";
import { type ApiIdentity, openApiIdentity } from "./api-identity.ts";

type ApiSettings = Settings<"api"> | Settings<"standalone">;

const { parent, name } = JoinService.method.renewCertificate;
const RENEW_PATH = `/${parent.typeName}/${name}`;

/** The identity of an API that serves TLS, or whose nodes have joined before. */
export async function identityOf(
  settings: ApiSettings,
  { hasTls, acme }: Protection,
  log: Log,
): Promise<ApiIdentity | undefined> {
  const { baseDirectory, certificateLifetime: lifetimeMs } = settings;
  if (!hasTls && !hasAuthority(baseDirectory)) return undefined;
  const deps = { clock: systemClock, random: systemRandom, log };
  return await openApiIdentity({
    baseDirectory,
    hosts: hostsOf(settings, acme?.domains),
    lifetimeMs,
    ...deps,
  });
}

function hostsOf(
  { bindAddress, publicUrl }: ApiSettings,
  domains: readonly string[] = [],
): string[] {
  const own = isUnspecified(bindAddress) ? [...addresses(), hostname()] : [bindAddress];
  const named = publicUrl === undefined ? [] : [new URL(publicUrl).hostname];
  const hosts = [...LOOPBACK_HOSTS, ...own, ...named, ...domains].map((host) =>
    host.replace(/^\[(.*)\]$/, "$1"),
  );
  return [...new Set(hosts)];
}

function addresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((infos) =>
    (infos ?? []).filter(({ scopeid = 0 }) => scopeid === 0).map(({ address }) => address),
  );
}

/**
 * How the API serves TLS now, and whom it admits by a certificate.
 *
 * @param domains The certificate of an ACME server. Only clients that ask for its names see it: it names no
 *   address, and those who trust our authority may call the API by one.
 */
export function tlsOf(
  { tls, hasTls }: Protection,
  identity: ApiIdentity | undefined,
  api: Api,
  domains?: Pick<ServerTls, "forDomains" | "challengeFor">,
): Pick<ListenOptions, "tls" | "admitCertificate"> {
  if (!hasTls || identity === undefined) return {};
  const { own, authority } = identity;
  return {
    tls: { ...own, ...tls, ...domains, forAgents: own, authority: authority.certificate },
    admitCertificate: admitNode(api),
  };
}

/** A node with its present certificate is a caller. An expired one can still renew its certificate. */
function admitNode({ certificates, clock }: Api): AdmitCertificate {
  return (certificate, path) => {
    const { identity } = certificate;
    if (identity.kind !== "node") {
      return new N0Error("permission_denied", "an API does not call itself");
    }
    if (!certificates.isCurrent(certificate)) return revoked(identity.name);
    const refusal = path === RENEW_PATH ? undefined : notNow(certificate, clock.nowMs());
    return refusal ?? { principal: formatRef(nodeRef(identity.name)), groups: [] };
  };
}

interface JoinedPeers extends Disposable {
  /** Undefined if the API has no certificate to show. */
  readonly transportTo: ((address: string, nodeName: string) => Transport) | undefined;
}

/** Transports to the agents of nodes that have joined, one for each node and address. */
export function joinedPeers(
  identity: ApiIdentity | undefined,
  unaryTimeoutMs: number,
): JoinedPeers {
  if (identity === undefined) return { transportTo: undefined, [Symbol.dispose]: () => {} };
  const authority = identity.authority.certificate;
  const peers = openPeers({}, systemClock, (key) => {
    const [nodeName = "", address = ""] = key.split("\n");
    const expected = { kind: "node", name: nodeName } as const;
    const open = () =>
      openTransport(address, AGENT_PORT_DEFAULT, {
        mutual: { authority, own: identity.own, expected },
        unaryTimeoutMs,
      });
    return renewedTransport(open, () => identity.own.cert);
  });
  return {
    transportTo: (address, nodeName) => peers.transportTo(`${nodeName}\n${address}`),
    [Symbol.dispose]: () => peers[Symbol.dispose](),
  };
}
