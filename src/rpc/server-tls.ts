import type { SecureServerOptions } from "node:http2";
import { createSecureContext, type SecureContext, type Server as TlsServer } from "node:tls";
import { API_SERVER_NAME } from "./certificate/identity.ts";
import type { OwnCertificate } from "./mutual-tls.ts";

/** How a server shows who it is, and which certificates of clients it asks for. All PEM. */
export interface ServerTls extends OwnCertificate {
  /** A client needs a certificate of that authority. */
  readonly clientCa?: string;
  /** The certificate for agents, which have only our own authority. Default: that for all clients. */
  readonly forAgents?: OwnCertificate;
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
  let forAgents = contextForAgents(tls);
  const { clientCa, authority, agentsOnly = false } = tls;
  const asks = clientCa !== undefined || authority !== undefined;
  return {
    options: {
      ...contextOf(tls, tls),
      minVersion: agentsOnly ? "TLSv1.3" : "TLSv1.2",
      ...(asks ? { requestCert: true } : {}),
      // Users come without one. What a certificate of our authority allows is checked at each call.
      ...(asks ? { rejectUnauthorized: clientCa !== undefined || agentsOnly } : {}),
      SNICallback: (name, done) => done(null, name === API_SERVER_NAME ? forAgents : undefined),
    },
    replace: (server, next) => {
      forAgents = contextForAgents(next);
      server.setSecureContext(contextOf(next, next));
    },
  };
}

function contextForAgents(tls: ServerTls): SecureContext | undefined {
  return tls.forAgents && createSecureContext(contextOf(tls, tls.forAgents));
}

function contextOf({ clientCa, authority }: ServerTls, { cert, key }: OwnCertificate) {
  const ca = [clientCa, authority].filter((one) => one !== undefined);
  return { cert, key, ...(ca.length === 0 ? {} : { ca }) };
}
