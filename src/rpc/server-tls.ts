import type { SecureServerOptions } from "node:http2";
import {
  createSecureContext,
  type SecureContext,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { API_SERVER_NAME } from "./certificate/identity.ts";
import type { OwnCertificate } from "./mutual-tls.ts";

const ACME_PROTOCOL = "acme-tls/1";

/** How a server shows who it is, and which certificates of clients it asks for. All PEM. */
export interface ServerTls extends OwnCertificate {
  /** A client needs a certificate of that authority. */
  readonly clientCa?: string;
  /** The certificate for agents, which have only our own authority. Default: that for all clients. */
  readonly forAgents?: OwnCertificate;
  /** The certificate for clients that ask for one of these names, in lower case. */
  readonly forDomains?: { readonly domains: readonly string[]; readonly own: OwnCertificate };
  /**
   * The certificate by which the server proves to an ACME server that it has a domain (`acme-tls/1`, RFC 8737).
   * `replace` does not change this function.
   */
  readonly challengeFor?: (domain: string) => OwnCertificate | undefined;
  /** Our own authority. The server asks clients for a certificate of it. */
  readonly authority?: string;
  /** Whether a client needs a certificate of it. */
  readonly agentsOnly?: boolean;
}

export interface RenewableTls {
  readonly options: SecureServerOptions;
  /** From now on, new connections get these certificates. */
  replace(server: Pick<TlsServer, "setSecureContext">, tls: ServerTls): void;
}

export function serverTls(tls: ServerTls): RenewableTls {
  let named = namedContexts(tls);
  const { clientCa, authority, agentsOnly = false, challengeFor } = tls;
  const asks = clientCa !== undefined || authority !== undefined;
  return {
    options: {
      ...contextOf(tls, tls),
      minVersion: agentsOnly ? "TLSv1.3" : "TLSv1.2",
      ...(asks ? { requestCert: true } : {}),
      // Users come without one. What a certificate of our authority allows is checked at each call.
      ...(asks ? { rejectUnauthorized: clientCa !== undefined || agentsOnly } : {}),
      SNICallback: (name, done) => done(null, named.get(name.toLowerCase())),
      ...(challengeFor === undefined ? {} : { ALPNCallback: challengeAnswer(challengeFor) }),
    },
    replace: (server, next) => {
      named = namedContexts(next);
      server.setSecureContext(contextOf(next, next));
    },
  };
}

/** The certificates that are served only under certain names. */
function namedContexts(tls: ServerTls): ReadonlyMap<string, SecureContext> {
  const { forAgents, forDomains } = tls;
  const named = new Map<string, SecureContext>();
  if (forDomains !== undefined) {
    const context = createSecureContext(contextOf(tls, forDomains.own));
    for (const domain of forDomains.domains) named.set(domain, context);
  }
  if (forAgents !== undefined) {
    named.set(API_SERVER_NAME, createSecureContext(contextOf(tls, forAgents)));
  }
  return named;
}

/** Chooses the protocol as Node does by itself, except for the challenges of ACME. */
function challengeAnswer(challengeFor: NonNullable<ServerTls["challengeFor"]>) {
  return function (
    this: TLSSocket,
    { servername, protocols }: { readonly servername: string; readonly protocols: string[] },
  ): string | undefined {
    if (!protocols.includes(ACME_PROTOCOL)) {
      return ["h2", "http/1.1"].find((one) => protocols.includes(one));
    }
    const challenge = challengeFor(servername.toLowerCase());
    if (challenge === undefined) return undefined;
    this.setKeyCert({ ...challenge });
    return ACME_PROTOCOL;
  };
}

function contextOf({ clientCa, authority }: ServerTls, { cert, key }: OwnCertificate) {
  const ca = [clientCa, authority].filter((one) => one !== undefined);
  return { cert, key, ...(ca.length === 0 ? {} : { ca }) };
}
