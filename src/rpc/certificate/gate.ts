import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import type { Caller } from "../caller.ts";
import { connectionOf } from "../door/connections.ts";
import { factsOf, type Refusals } from "../door/refusals.ts";
import { toConnectError } from "../errors.ts";
import type { NodeServerRequest } from "../http.ts";
import { noteCertificate } from "../peer.ts";
import { type Refusal, refuse } from "../refuse.ts";
import type { Gate } from "../token-auth.ts";
import { identityText, type PeerCertificate, peerCertificateOf } from "./identity.ts";

/**
 * The caller that a certificate of our authority names, or why the call is refused.
 *
 * @param path Of the RPC, such as `/n0stack.pool.v0.NodeService/HeartbeatNode`.
 */
export type AdmitCertificate = (certificate: PeerCertificate, path: string) => Caller | N0Error;

export interface CertificateGateOptions {
  readonly tls?: { readonly authority?: string; readonly agentsOnly?: boolean };
  readonly admitCertificate?: AdmitCertificate;
  readonly refusals: Refusals;
  /** For clients without a certificate of our authority. */
  readonly others: Gate;
}

const NAMES_NOBODY: Refusal = {
  status: 401,
  error: toConnectError(
    new N0Error("unauthenticated", "the certificate of the client names neither an API nor a node"),
  ),
};

/** Reads the certificate of each connection once, and asks about it at each call. */
export function certificateGate(options: CertificateGateOptions): Gate {
  const { tls, admitCertificate, refusals, others } = options;
  if (tls?.authority === undefined || admitCertificate === undefined) return others;
  const authority = new X509Certificate(tls.authority);
  const read = new WeakMap<object, PeerCertificate | "none">();
  const certificateOf = (request: NodeServerRequest) => {
    const connection = connectionOf(request);
    let found = read.get(connection);
    if (found === undefined) {
      // Every connection of a server with an authority is one of TLS.
      const shown = (request.socket as TLSSocket).getPeerX509Certificate();
      found = (shown && peerCertificateOf(shown, authority)) ?? "none";
      read.set(connection, found);
      if (found !== "none") noteCertificate(connection, found);
    }
    return found;
  };
  return (request, response, admit) => {
    const certificate = certificateOf(request);
    if (certificate === "none") {
      if (tls.agentsOnly !== true) return others(request, response, admit);
      return refuse(request, response, NAMES_NOBODY);
    }
    const path = request.url?.split("?", 1)[0] ?? "";
    const caller = admitCertificate(certificate, path);
    if (!(caller instanceof N0Error)) return admit(caller);
    refusals.note("certificate", { ...factsOf(request), refusal: caller.message });
    refuse(request, response, {
      status: caller.kind === "permission_denied" ? 403 : 401,
      error: toConnectError(caller),
    });
  };
}

/** The refusal of a certificate that is not valid now; undefined for one that is. */
export function notNow(
  { identity, notBeforeMs, notAfterMs }: PeerCertificate,
  nowMs: number = systemClock.nowMs(),
): N0Error | undefined {
  if (nowMs >= notBeforeMs && nowMs <= notAfterMs) return undefined;
  const what =
    nowMs > notAfterMs
      ? `expired at ${new Date(notAfterMs).toISOString()}`
      : `is valid from ${new Date(notBeforeMs).toISOString()}`;
  return new N0Error(
    "unauthenticated",
    `the certificate of ${identityText(identity)} ${what}, and the clock of the server says ` +
      `${new Date(nowMs).toISOString()}: one of the clocks is wrong, or nobody renewed the certificate`,
  );
}
