import { X509Certificate } from "node:crypto";
import { connect, type PeerCertificate } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { JoinService } from "../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { API_SERVER_NAME, keyHashOf, peerCertificateOf } from "../../rpc/certificate/identity.ts";
import { fromConnectError } from "../../rpc/errors.ts";
import { API_PORT_DEFAULT, baseUrlOf, openTransport } from "../../rpc/transport.ts";
import { backoffMs } from "../../util/backoff.ts";
import { type Clock, pause } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import type { Random } from "../../util/random.ts";
import {
  hashOfSecret,
  type Joining,
  type NodeIdentity,
  readIdentity,
  readJoining,
  writeIdentity,
  writeJoining,
} from "./node-identity.ts";

const TOKEN = /^(?<secret>[\w-]{16,128})\.(?<fingerprint>[\w-]{43})$/;
const PROBE_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 10_000;
const CHAIN_LENGTH_MAX = 8;
const BACKOFF = { firstMs: 250, maxMs: 5_000 };

export interface JoinOptions {
  readonly baseDirectory: string;
  readonly nodeName: string;
  readonly apiEndpoint: string;
  /** As `n0cli node join-token` prints it. */
  readonly token: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Gets the first certificate of this node, unless this token has done that before. Waits for an API that does
 * not answer. It may die anywhere: the next start asks with the same key, and gets the same.
 *
 * @throws N0Error `invalid_argument` for a malformed token; `failed_precondition` if the API there has
 *   another authority than the token says, or refuses.
 */
export async function joinOnce(options: JoinOptions): Promise<NodeIdentity> {
  const { baseDirectory, nodeName, clock, random, log, signal } = options;
  const { secret = "", fingerprint = "" } = TOKEN.exec(options.token)?.groups ?? {};
  if (secret === "") {
    throw new N0Error(
      "invalid_argument",
      'join: must be a token that "n0cli node join-token" printed',
    );
  }
  const url = baseUrlOf(options.apiEndpoint, API_PORT_DEFAULT);
  if (!url.startsWith("https:")) {
    throw new N0Error(
      "invalid_argument",
      `node-api-endpoint: must be an https:// URL to join, not ${url}`,
    );
  }
  const joinedWith = hashOfSecret(secret);
  const isSame = (one: Joining | undefined) =>
    one?.joinedWith === joinedWith && one.nodeName === nodeName;
  const present = readIdentity(baseDirectory);
  if (present !== undefined && isSame(present)) return present;
  const begun = readJoining(baseDirectory);
  const { newPrivateKey } = await import("../../rpc/certificate/request.ts");
  const joining =
    begun !== undefined && isSame(begun) ? begun : { nodeName, key: newPrivateKey(), joinedWith };
  writeJoining(baseDirectory, joining);
  for (let failures = 1; ; failures++) {
    try {
      const identity = await exchange(url, secret, fingerprint, joining, signal);
      writeIdentity(baseDirectory, identity);
      log.info("this node has joined", { node: nodeName, api: url });
      return identity;
    } catch (reason) {
      const error = fromConnectError(reason);
      if (error.kind !== "unavailable" && error.kind !== "deadline_exceeded") throw error;
      if (failures === 1) log.warn("cannot join yet, trying again", { error });
    }
    if (!(await pause(clock, backoffMs(BACKOFF, failures, random), signal))) {
      signal.throwIfAborted();
    }
  }
}

/** Sends the secret only to a server that has proven to be the API of that authority. */
async function exchange(
  url: string,
  secret: string,
  fingerprint: string,
  joining: Joining,
  signal: AbortSignal,
): Promise<NodeIdentity> {
  const { newCertificateRequest } = await import("../../rpc/certificate/request.ts");
  const authority = await authorityAt(url, fingerprint);
  const mutual = { authority, expected: { kind: "api" } } as const;
  const transport = openTransport(url, API_PORT_DEFAULT, { mutual });
  try {
    const { certificate } = await createClient(JoinService, transport).join(
      {
        secret,
        nodeName: joining.nodeName,
        certificateRequest: await newCertificateRequest(joining.key),
      },
      { signal, timeoutMs: CALL_TIMEOUT_MS },
    );
    const named = peerCertificateOf(
      new X509Certificate(certificate),
      new X509Certificate(authority),
    );
    if (named?.identity.kind !== "node" || named.identity.name !== joining.nodeName) {
      throw new N0Error("failed_precondition", `${url} gave a certificate that is not this node's`);
    }
    return { ...joining, certificate, authority };
  } finally {
    transport.close();
  }
}

/** The certificate of the authority with this fingerprint, which the server there must present. */
async function authorityAt(url: string, fingerprint: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const chain = await presentedBy(hostname.replace(/^\[(.*)\]$/, "$1"), Number(port || 443), url);
  const found = chain.find((one) => keyHashOf(one) === fingerprint);
  if (found !== undefined) return found.toString();
  throw new N0Error(
    "failed_precondition",
    `the server at ${url} does not have the authority of the join token: check --node-api-endpoint, and that ` +
      "nothing between here and the API ends TLS. The token was not sent",
  );
}

/** The certificates that the server presents. Sends nothing but the beginning of TLS. */
async function presentedBy(host: string, port: number, url: string): Promise<X509Certificate[]> {
  return await new Promise((resolve, reject) => {
    const failed = (cause?: Error) => {
      socket.destroy();
      const message = `no TLS server answers at ${url}${cause === undefined ? "" : `: ${cause.message}`}`;
      reject(new N0Error("unavailable", message, { cause }));
    };
    const socket = connect(
      { host, port, servername: API_SERVER_NAME, minVersion: "TLSv1.3", rejectUnauthorized: false },
      () => {
        const chain: X509Certificate[] = [];
        let one: PeerCertificate | undefined = socket.getPeerCertificate(true);
        while (one?.raw !== undefined && chain.length < CHAIN_LENGTH_MAX) {
          chain.push(new X509Certificate(one.raw));
          const issuer: PeerCertificate | undefined =
            "issuerCertificate" in one ? (one.issuerCertificate as PeerCertificate) : undefined;
          one = issuer === one ? undefined : issuer;
        }
        socket.destroy();
        resolve(chain);
      },
    );
    socket.setTimeout(PROBE_TIMEOUT_MS, () => failed());
    socket.on("error", failed);
  });
}
