import { X509Certificate } from "node:crypto";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World, type WorldOptions } from "../../../../test/world.ts";
import { AuditService } from "../../../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { JoinService } from "../../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { newAuthorityFiles, openAuthority } from "../../../rpc/certificate/authority.ts";
import { peerCertificateOf, publicKeyHash } from "../../../rpc/certificate/identity.ts";
import {
  newCertificateRequest,
  newPrivateKey,
  publicKeyOf,
} from "../../../rpc/certificate/request.ts";
import { systemClock } from "../../../util/clock.ts";
import { systemRandom } from "../../../util/random.ts";
import { renewCertificate } from "./join.ts";
import { pruneJoinTokens } from "./tokens.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);

const authority = await openAuthority(
  await newAuthorityFiles(START_MS, systemRandom),
  systemRandom,
);

/** A world whose nodes join, and whose clock stands still until it is moved. */
async function joinable(options: WorldOptions = {}) {
  const time = { nowMs: START_MS, passedMs: 0 };
  const monotonicMs = () => time.passedMs;
  const clock = { ...systemClock, nowMs: () => time.nowMs, monotonicMs };
  const joining = {
    authority: async () => authority,
    apiEndpoint: () => "https://192.0.2.1:20180",
    certificateLifetimeMs: 24 * HOUR_MS,
  };
  const world = await newWorld({ nodeCount: 0, inMemory: true, clock, joining, ...options });
  const joins = world.client(JoinService);
  const tokenFor = async (nodeName = "", expiresInMs?: number) => {
    const expiresIn = expiresInMs === undefined ? {} : { expiresIn: durationFromMs(expiresInMs) };
    return await joins.createJoinToken({ nodeName, ...expiresIn });
  };
  const secretFor = async (nodeName = "") => (await tokenFor(nodeName)).token.split(".")[0]!;
  const join = async (secret: string, nodeName: string, key: string) => {
    const certificateRequest = await newCertificateRequest(key);
    return await joins.join({ secret, nodeName, certificateRequest });
  };
  return { world, joins, time, tokenFor, secretFor, join };
}

function certificateIn({ certificate }: { readonly certificate: string }) {
  const own = new X509Certificate(authority.certificate);
  return peerCertificateOf(new X509Certificate(certificate), own)!;
}

const current = (world: World, key: string, name = "n1") =>
  world.opened.api.certificates.isCurrent({
    identity: { kind: "node", name },
    keyHash: publicKeyHash(publicKeyOf(key)),
  });

test("a node joins with a token, which only its hash is kept of", async () => {
  const { world, joins, join, tokenFor } = await joinable();
  await using _ = world;
  const { token, joinToken, apiEndpoint } = await tokenFor();
  const [secret = "", fingerprint] = token.split(".");
  expect(fingerprint).toBe(authority.fingerprint);
  expect(apiEndpoint).toBe("https://192.0.2.1:20180");
  expect(JSON.stringify((await world.residue()).records)).not.toContain(secret);
  const key = newPrivateKey();
  const joined = await join(secret, "n1", key);
  expect(joined.authority).toBe(authority.certificate);
  expect(certificateIn(joined)).toMatchObject({
    identity: { kind: "node", name: "n1" },
    keyHash: publicKeyHash(publicKeyOf(key)),
    notAfterMs: START_MS + 24 * HOUR_MS,
  });
  expect(current(world, key)).toBe(true);
  expect((await joins.listJoinTokens({})).joinTokens).toEqual([{ ...joinToken, usedBy: "n1" }]);
});

test("an agent that has lost the answer asks again; another key gets nothing", async () => {
  const { world, join, secretFor } = await joinable();
  await using _ = world;
  const secret = await secretFor();
  const key = newPrivateKey();
  await join(secret, "n1", key);
  expect(certificateIn(await join(secret, "n1", key)).identity).toMatchObject({ name: "n1" });
  for (const [name, other] of [["n1", newPrivateKey()] as const, ["n2", key] as const]) {
    const error = await refused(join(secret, name, other));
    expect(error).toMatchObject({ code: "FailedPrecondition" });
    expect(error.message).toContain('has been used by node "n1", and works only once');
  }
});

test("of two that use a token at once, one joins", async () => {
  const { world, join, secretFor } = await joinable();
  await using _ = world;
  const secret = await secretFor();
  const tries = ["n1", "n2", "n3"].map((name) => join(secret, name, newPrivateKey()));
  const ended = await Promise.allSettled(tries);
  expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a token that is wrong, revoked or expired gets nothing", async () => {
  const { world, joins, time, join, tokenFor } = await joinable();
  await using _ = world;
  const wrong = await refused(join("x".repeat(32), "n1", newPrivateKey()));
  expect(wrong).toMatchObject({ code: "Unauthenticated" });
  expect(wrong.message).toContain("n0cli node join-token --node n1");
  const revoked = await tokenFor();
  await joins.revokeJoinToken({ id: revoked.joinToken!.id });
  const late = await tokenFor("", 60_000);
  time.nowMs += 60_000;
  for (const { token } of [revoked, late]) {
    const secret = token.split(".")[0]!;
    expect(await refused(join(secret, "n1", newPrivateKey()))).toMatchObject({
      code: "Unauthenticated",
    });
  }
  expect((await joins.listJoinTokens({})).joinTokens).toEqual([]);
  expect(await refused(joins.revokeJoinToken({ id: "none" }))).toMatchObject({ code: "NotFound" });
  await pruneJoinTokens(world.opened.api.datastore, time.nowMs);
  expect(Object.keys((await world.residue()).records).join()).not.toContain("join_token");
});

test("a token for any node takes no node that exists; one for the node replaces its key", async () => {
  const { world, joins, join, secretFor } = await joinable({ nodeCount: 1 });
  await using _ = world;
  const open = await secretFor();
  const error = await refused(join(open, "node-1", newPrivateKey()));
  expect(error.message).toContain("n0cli node join-token --node node-1");
  const first = newPrivateKey();
  const firstSecret = await secretFor("node-1");
  expect(await refused(join(firstSecret, "n2", first))).toMatchObject({ code: "PermissionDenied" });
  await join(firstSecret, "node-1", first);
  const second = newPrivateKey();
  await join(await secretFor("node-1"), "node-1", second);
  expect(current(world, first, "node-1")).toBe(false);
  expect(current(world, second, "node-1")).toBe(true);
  const { revokedKeys } = await world.nodes.heartbeatNode({ name: "node-1" });
  expect(revokedKeys).toEqual([publicKeyHash(publicKeyOf(first))]);
  // The key before cannot come back by its used token, nor by a new one.
  await refused(join(firstSecret, "node-1", first));
  await refused(join(await secretFor("node-1"), "node-1", first));
  expect(current(world, second, "node-1")).toBe(true);
  expect((await joins.listJoinTokens({})).joinTokens).toHaveLength(4);
});

test("a lost or deleted node has no certificate, until it joins again", async () => {
  const { world, join, secretFor, time } = await joinable({ nodeCount: 1 });
  await using _ = world;
  const key = newPrivateKey();
  await join(await secretFor("node-1"), "node-1", key);
  world.fakeNodes[0]!.isDown = true;
  time.passedMs += 16_000;
  await world.nodes.setNodeLost({ name: "node-1", lost: true });
  await world.seen();
  expect(current(world, key, "node-1")).toBe(false);
  const secret = await secretFor("node-1");
  expect((await refused(join(secret, "node-1", newPrivateKey()))).message).toContain("node found");
  await world.nodes.setNodeLost({ name: "node-1", lost: false });
  const next = newPrivateKey();
  await join(secret, "node-1", next);
  expect(current(world, next, "node-1")).toBe(true);
  await world.nodes.deleteNode({ name: "node-1" });
  await world.seen();
  expect(current(world, next, "node-1")).toBe(false);
});

test("a certificate is renewed for the key that the connection has, unless it is revoked", async () => {
  const { world, join, secretFor, time } = await joinable();
  await using _ = world;
  const { api } = world.opened;
  const key = newPrivateKey();
  const joined = certificateIn(await join(await secretFor(), "n1", key));
  time.nowMs += 16 * HOUR_MS;
  const renewed = certificateIn(await renewCertificate(api, "n1", joined, "192.0.2.7"));
  expect(renewed).toMatchObject({ keyHash: joined.keyHash, notAfterMs: START_MS + 40 * HOUR_MS });
  for (const [name, present] of [["n2", joined] as const, ["n1", undefined] as const]) {
    await expect(renewCertificate(api, name, present, "")).rejects.toMatchObject({
      kind: "permission_denied",
    });
  }
  await join(await secretFor("n1"), "n1", newPrivateKey());
  await expect(renewCertificate(api, "n1", joined, "")).rejects.toMatchObject({
    kind: "unauthenticated",
    message: expect.stringContaining('the certificate of node "n1" is revoked'),
  });
});

test("the audit events say who made a token, who joined with it, and who had none", async () => {
  const { world, joins, join, tokenFor } = await joinable();
  await using _ = world;
  const made = await tokenFor();
  await join(made.token.split(".")[0]!, "n1", newPrivateKey());
  await refused(join("x".repeat(32), "n1", newPrivateKey()));
  const other = await tokenFor("n2");
  await refused(join(other.token.split(".")[0]!, "n3", newPrivateKey()));
  await joins.revokeJoinToken({ id: other.joinToken!.id });
  const { events } = await world.client(AuditService).listAuditEvents({});
  const shown = events.map(({ asker, rpc, reason, resources, place }) =>
    [asker?.principal, rpc + reason, ...resources, place].join(" "),
  );
  const token = ({ joinToken }: typeof made) => `join_token/${joinToken!.id} system`;
  // All at one moment, because the clock stands still.
  expect(shown.toSorted()).toEqual(
    [
      `administrator CreateJoinToken ${token(made)}`,
      "node/n1 Join node/n1 system",
      "nobody wrong join token node/n1 system",
      `administrator CreateJoinToken ${token(other)}`,
      "nobody wrong join token node/n3 system",
      `administrator RevokeJoinToken ${token(other)}`,
    ].toSorted(),
  );
  expect(JSON.stringify(events.map(({ resources }) => resources))).not.toContain(made.token);
});

test("an API without TLS makes no token", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const error = await refused(world.client(JoinService).createJoinToken({}));
  expect(error).toMatchObject({ code: "FailedPrecondition" });
  expect(error.message).toContain("listens without TLS");
});
