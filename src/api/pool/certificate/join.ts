import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { put, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { JoinRequest } from "../../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { NOBODY } from "../../../rpc/caller.ts";
import { nodeUri, type PeerCertificate, publicKeyHash } from "../../../rpc/certificate/identity.ts";
import { kindOf, N0Error } from "../../../util/errors.ts";
import { formatRef, nodeRef } from "../../../util/ref.ts";
import { lost } from "../../core/agents.ts";
import { changeEvent } from "../../core/audit-event/change.ts";
import type { Api } from "../context.ts";
import { nodes } from "../node/collection.ts";
import {
  hashOfSecret,
  type JoinTokenRecord,
  joinTokens,
  type NodeCertificate,
  nodeCertificates,
  revokedKeys,
} from "./collection.ts";
import { authorityOf } from "./tokens.ts";

/** Like `join`; notes who comes without the right token. */
export async function joinOrNote(
  api: Api,
  request: JoinRequest,
  peer: string,
): Promise<{ certificate: string; authority: string }> {
  try {
    return await join(api, request, peer);
  } catch (reason) {
    const kind = kindOf(reason);
    if (kind === "unauthenticated" || kind === "permission_denied") {
      api.auditEvents.note({
        kind: "refusal",
        asker: { principal: NOBODY.principal, peer },
        place: "system",
        reason: "wrong join token",
        resource: formatRef(nodeRef(request.nodeName)),
      });
    }
    throw reason;
  }
}

/**
 * Exchanges a join token for a certificate. One batch uses the token, makes the key the node's only one, and
 * revokes the key before it. A repeat with the same key gets another certificate for it, so an agent that has
 * lost the answer asks again.
 *
 * @param peer The address of the agent.
 * @throws N0Error `unauthenticated` for a token that is not valid, before anything else of the request is read.
 */
async function join(
  api: Api,
  { secret, nodeName, certificateRequest }: JoinRequest,
  peer: string,
): Promise<{ certificate: string; authority: string }> {
  const hash = hashOfSecret(secret);
  const token = await api.records.find(joinTokens, hash);
  if (token === undefined || token.value.expiresAtMs <= api.clock.nowMs()) throw notValid(nodeName);
  const { readCertificateRequest } = await import("../../../rpc/certificate/request.ts");
  const spki = await readCertificateRequest("certificate_request", certificateRequest);
  const keyHash = publicKeyHash(spki);
  const before = await api.records.find(nodeCertificates, nodeName);
  throwIfNotFor(token.value, nodeName, keyHash, before?.value.keyHash);
  const node = await api.records.find(nodes, nodeRef(nodeName));
  if (node?.value.lost === true) throw lost(nodeName);
  const isUsed = token.value.used !== undefined;
  if (!isUsed && token.value.nodeName === "" && (node ?? before) !== undefined)
    throw taken(nodeName);
  if ((await api.records.find(revokedKeys, keyHash)) !== undefined) throw notValid(nodeName);
  const signed = await sign(api, nodeName, spki, peer);
  const own = formatRef(nodeRef(nodeName));
  await write(
    api,
    nodeName,
    put(joinTokens, [hash], { ...token.value, used: { nodeName, keyHash } }),
    unchanged(joinTokens, [hash], token.revision),
    unchanged(nodes, [nodeRef(nodeName)], node?.revision ?? 0),
    replacement(nodeName, before, { keyHash, notAfterMs: signed.notAfterMs }),
    changeEvent(api, { principal: own, peer }, "Join", own),
  );
  api.log.info("a node has joined", { node: nodeName, peer });
  return { certificate: signed.certificate, authority: signed.authority };
}

/**
 * A certificate that is valid for longer, for the key of the present one.
 *
 * @throws N0Error `unauthenticated` if that was revoked in the meantime.
 */
export async function renewCertificate(
  api: Api,
  nodeName: string,
  present: PeerCertificate | undefined,
  peer: string,
): Promise<{ certificate: string }> {
  const before = await api.records.find(nodeCertificates, nodeName);
  const { identity } = present ?? {};
  if (present === undefined || identity?.kind !== "node" || identity.name !== nodeName) {
    throw new N0Error(
      "permission_denied",
      `only the agent of node "${nodeName}", by its certificate, can renew it`,
    );
  }
  if (before?.value.keyHash !== present.keyHash) throw revoked(nodeName);
  const { certificate, notAfterMs } = await sign(api, nodeName, present.spki, peer);
  const record = { keyHash: present.keyHash, notAfterMs };
  await write(api, nodeName, replacement(nodeName, before, record));
  return { certificate };
}

async function sign(api: Api, nodeName: string, publicKey: Uint8Array, peer: string) {
  const authority = await authorityOf(api);
  const lifetimeMs = api.joining!.certificateLifetimeMs;
  const certificate = await authority.sign(
    {
      uri: nodeUri(nodeName),
      commonName: nodeName,
      // A node that could choose its hosts could pass for the API.
      hosts: isIP(peer) === 0 ? [] : [peer],
      publicKey,
      lifetimeMs,
    },
    api.clock.nowMs(),
  );
  const notAfterMs = new X509Certificate(certificate).validToDate.getTime();
  return { certificate, authority: authority.certificate, notAfterMs };
}

/** Makes this key the only one of the node. */
function replacement(
  nodeName: string,
  before: Stored<NodeCertificate> | undefined,
  record: NodeCertificate,
): Writes {
  const isOther = before !== undefined && before.value.keyHash !== record.keyHash;
  return merge(
    put(nodeCertificates, [nodeName], record),
    unchanged(nodeCertificates, [nodeName], before?.revision ?? 0),
    isOther ? put(revokedKeys, [before.value.keyHash], { untilMs: before.value.notAfterMs }) : {},
  );
}

async function write(api: Api, nodeName: string, ...writes: readonly Writes[]): Promise<void> {
  try {
    await api.datastore.seen(await api.datastore.batch(merge(...writes)));
  } catch (cause) {
    if (!(cause instanceof ConflictError)) throw cause;
    const message = `node "${nodeName}" has just changed: try again`;
    throw new N0Error("aborted", message, { retryAfterMs: 100, cause });
  }
}

/** @throws N0Error if the token is for another node, or another key has used it. */
function throwIfNotFor(
  { nodeName: only, used }: JoinTokenRecord,
  nodeName: string,
  keyHash: string,
  current: string | undefined,
): void {
  if (only !== "" && only !== nodeName) {
    throw new N0Error(
      "permission_denied",
      `this join token is for another node than "${nodeName}": start the agent with the --name for which the ` +
        "token was made, or make another token",
    );
  }
  if (used === undefined) return;
  const isRepeat = used.nodeName === nodeName && used.keyHash === keyHash && current === keyHash;
  if (isRepeat) return;
  throw new N0Error(
    "failed_precondition",
    `this join token has been used by node "${used.nodeName}", and works only once: ${another(nodeName)}`,
  );
}

function notValid(nodeName: string): N0Error {
  return new N0Error(
    "unauthenticated",
    `this join token is not valid, or has expired: ${another(nodeName)}`,
  );
}

function taken(nodeName: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `node "${nodeName}" exists already: give the agent another --name, or, if it is this node, ${another(nodeName)}`,
  );
}

/** The error for a certificate of a node that counts no longer. */
export function revoked(nodeName: string): N0Error {
  return new N0Error(
    "unauthenticated",
    `the certificate of node "${nodeName}" is revoked, because the node was declared lost, was deleted, or has ` +
      `joined again: ${another(nodeName)}`,
  );
}

function another(nodeName: string): string {
  return `make another with "n0cli node join-token --node ${nodeName}"`;
}
