// Nodes that have joined: the real API and real agents, with fake drivers, over mutual TLS.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newFakeDrivers } from "../../test/fake-drivers.ts";
import { refused } from "../../test/refused.ts";
import { selfSigned } from "../../test/self-signed.ts";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { JoinService } from "../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { BlockStorageService } from "../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VerifyService } from "../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { newAuthorityFiles, openAuthority } from "../rpc/certificate/authority.ts";
import { type Copy, copyTicket } from "../rpc/certificate/copy-ticket.ts";
import { API_URI, type Identity } from "../rpc/certificate/identity.ts";
import { newCertificateRequest, newPrivateKey, publicKeyOf } from "../rpc/certificate/request.ts";
import { readTokenFile } from "../rpc/token-auth.ts";
import { API_PORT_DEFAULT, openTransport } from "../rpc/transport.ts";
import { silentLog } from "../util/log.ts";
import { systemRandom } from "../util/random.ts";
import { loadSettings } from "./config.ts";
import { hashOfSecret, readIdentity, timesOf, writeJoining } from "./identity/node-identity.ts";
import type { Served } from "./run.ts";
import { serveAgent } from "./serve-agent.ts";
import { serveApi } from "./serve-api.ts";

let opened: AsyncDisposableStack;
let base: string;
let endpoint: string;
let admin: Transport;
let nodes: Client<typeof NodeService>;
let joins: Client<typeof JoinService>;

const FACTS = {
  hostname: "n",
  serial: "",
  cpuMilliCores: 8_000,
  memoryBytes: 1n << 33n,
  storageBytes: 1n << 40n,
};
const API: Identity = { kind: "api" };

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "n0-joined-"));
  opened.defer(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function startApi(flags: Readonly<Record<string, unknown>> = {}, given?: string) {
  const all = { baseDirectory: base, bindAddress: "0.0.0.0", bindPort: "0", ...flags };
  const api = await serveApi(loadSettings("api", { flags: all, environment: {} }), silentLog);
  opened.defer(() => api.stop(500));
  endpoint = `https://127.0.0.1:${new URL(api.url).port}`;
  const ca = given ?? readFileSync(join(base, "authority", "certificate.pem"), "utf8");
  const token = readTokenFile(join(base, "token"));
  admin = opened.adopt(openTransport(endpoint, API_PORT_DEFAULT, { ca, token }), (one) =>
    one.close(),
  );
  nodes = createClient(NodeService, admin);
  joins = createClient(JoinService, admin);
  return api;
}

beforeEach(() => {
  opened = new AsyncDisposableStack();
  base = newFolder();
});
afterEach(() => opened.disposeAsync());

async function startAgent(name: string, folder: string, token?: string): Promise<Served> {
  const flags = {
    name,
    baseDirectory: folder,
    bindAddress: "127.0.0.1",
    bindPort: "0",
    nodeApiEndpoint: endpoint,
    ...(token === undefined ? {} : { join: token }),
  };
  const settings = loadSettings("agent", { flags, environment: {} });
  const agent = await serveAgent(settings, silentLog, async () => ({
    ...newFakeDrivers(),
    readFacts: async () => FACTS,
    [Symbol.asyncDispose]: async () => {},
  }));
  opened.defer(() => agent.stop(500));
  return agent;
}

const tokenFor = async (nodeName = "") => (await joins.createJoinToken({ nodeName })).token;

async function isReady(name: string): Promise<boolean> {
  const verify = createClient(VerifyService, admin);
  const { nodes: looked } = await verify.verify({});
  return looked.some((node) => node.nodeName === name && node.error === "");
}

async function joinNode(name: string) {
  const folder = newFolder();
  const agent = await startAgent(name, folder, await tokenFor());
  await expect.poll(() => isReady(name)).toBe(true);
  return { folder, agent, ...readIdentity(folder)! };
}

/** A client that shows the certificate of a node. */
function as(
  node: { readonly key: string; readonly certificate: string; readonly authority: string },
  url: string,
  expected: Identity,
) {
  const own = { cert: node.certificate, key: node.key };
  const mutual = { authority: node.authority, own, expected };
  return opened.adopt(openTransport(url, API_PORT_DEFAULT, { mutual }), (one) => one.close());
}

const firstPiece = (peer: Transport, request: { readonly id: string; readonly ticket?: string }) =>
  createClient(VolumeAgentService, peer).readVolume(request)[Symbol.asyncIterator]().next();

async function ownAuthority() {
  const file = (name: string) => readFileSync(join(base, "authority", name), "utf8");
  const files = { key: file("key.pem"), certificate: file("certificate.pem") };
  return await openAuthority(files, systemRandom);
}

/** As the API makes it. */
async function ticketOf(copy: Copy): Promise<string> {
  return copyTicket(copy, (await ownAuthority()).signTicket, Date.now());
}

/** The volumes of a node, as its API sees them. */
async function volumesOf(url: string, name: string) {
  const authority = await ownAuthority();
  const key = newPrivateKey();
  const subject = { uri: API_URI, commonName: "api", hosts: [], publicKey: publicKeyOf(key) };
  const certificate = await authority.sign({ ...subject, lifetimeMs: 60_000 }, Date.now());
  const own = { key, certificate, authority: authority.certificate };
  const client = createClient(VolumeAgentService, as(own, url, { kind: "node", name }));
  return (await client.listVolumes({})).volumes;
}

describe("a joined node", () => {
  test("registers by its token alone, and again at its next start without one", async () => {
    await startApi();
    const token = await tokenFor();
    const folder = newFolder();
    const first = await startAgent("n1", folder, token);
    await expect.poll(() => isReady("n1")).toBe(true);
    expect((await nodes.getNode({ name: "n1" })).address).toMatch(/^https:\/\/127\.0\.0\.1:/);
    await first.stop(500);
    // The command line may stay as it was.
    const second = await startAgent("n1", folder, token);
    await second.stop(500);
    await startAgent("n1", folder);
    await expect.poll(() => isReady("n1")).toBe(true);
    expect(() => readFileSync(join(folder, "token"))).toThrow("ENOENT");
    await expect(startAgent("n2", newFolder(), token)).rejects.toThrow(
      'has been used by node "n1"',
    );
  });

  test("speaks for itself alone", async () => {
    await startApi();
    const n1 = await joinNode("n1");
    await joinNode("n2");
    const thief = as(n1, endpoint, API);
    const asNode = createClient(NodeService, thief);
    expect(await asNode.heartbeatNode({ name: "n1" })).toMatchObject({ revokedKeys: [] });
    for (const call of [
      () => asNode.heartbeatNode({ name: "n2" }),
      () => asNode.applyNode({ name: "n2", address: n1.agent.url }),
      () => asNode.deleteNode({ name: "n2" }),
      () => asNode.listNodes({}),
      () => createClient(JoinService, thief).createJoinToken({}),
      () => createClient(JoinService, thief).renewCertificate({ nodeName: "n2" }),
    ]) {
      expect((await refused(call())).code).toMatch(/PermissionDenied|NotFound/);
    }
  });

  test("may only copy volumes from another one, each by a ticket of the API", async () => {
    await startApi();
    const n1 = await joinNode("n1");
    const n2 = await joinNode("n2");
    const peer = as(n1, n2.agent.url, { kind: "node", name: "n2" });
    const compute = createClient(ComputeAgentService, peer);
    expect(await refused(compute.listDomains({}))).toMatchObject({ code: "PermissionDenied" });
    const read = (ticket: string) => firstPiece(peer, { id: "none", ticket });
    const copy = { volumeId: "none", sourceNode: "n2", readerNode: "n1" };
    const ticket = (change: Partial<typeof copy> = {}) => ticketOf({ ...copy, ...change });
    const right = await ticket();
    await expect.poll(async () => (await refused(read(right))).code).toBe("NotFound");
    for (const wrong of ["", `${right}x`, await ticket({ readerNode: "n2" })]) {
      expect(await refused(read(wrong))).toMatchObject({ code: "PermissionDenied" });
    }
    // Who expects another node there calls nobody.
    const mistaken = createClient(
      ComputeAgentService,
      as(n1, n2.agent.url, { kind: "node", name: "n3" }),
    );
    expect((await refused(mistaken.listDomains({}))).message).toContain(
      'the server there is node "n2", not node "n3"',
    );
  });

  test("gets a disk from another one, and no disk that the API has not sent to it", async () => {
    await startApi();
    const n1 = await joinNode("n1");
    const n2 = await joinNode("n2");
    const disks = createClient(BlockStorageService, admin);
    const at = (node: string) => ({ "n0core/provisioning/block_storage/request_node_name": node });
    const size = { requestBytes: 1n << 20n, limitBytes: 1n << 20n };
    await disks.createBlockStorage({ name: "data", annotations: at("n1"), ...size });
    const moving = () => disks.updateBlockStorage({ name: "data", annotations: at("n2"), ...size });
    // An agent admits no other node before its first heartbeat has told it who is revoked.
    await expect.poll(async () => (await moving()).nodeName).toBe("n2");
    const { id = "" } = (await volumesOf(n2.agent.url, "n2"))[0] ?? {};
    expect(id).not.toBe("");
    const thief = as(n1, n2.agent.url, { kind: "node", name: "n2" });
    expect(await refused(firstPiece(thief, { id }))).toMatchObject({
      code: "PermissionDenied",
      message: expect.stringContaining(
        `node "n1" may not read volume "${id}" of node "n2": it has no ticket`,
      ),
    });
  });

  test("is revoked when it joins again: it can neither speak nor copy", async () => {
    await startApi();
    const n1 = await joinNode("n1");
    const n2 = await joinNode("n2");
    await n1.agent.stop(500);
    await startAgent("n1", n1.folder, await tokenFor("n1"));
    await expect.poll(() => isReady("n1")).toBe(true);
    const old = createClient(NodeService, as(n1, endpoint, API));
    const error = await refused(old.heartbeatNode({ name: "n1" }));
    expect(error).toMatchObject({ code: "Unauthenticated" });
    expect(error.message).toContain('the certificate of node "n1" is revoked');
    const peer = as(n1, n2.agent.url, { kind: "node", name: "n2" });
    const code = async () => (await refused(firstPiece(peer, { id: "none" }))).code;
    await expect.poll(code).toBe("Unauthenticated");
  });

  test("renews its certificate while calls go on, and so does the API", async () => {
    // A third of it is left when it is renewed, which is enough for a busy machine.
    await startApi({ certificateLifetime: "6s" });
    const { folder, agent, certificate, authority, key } = await joinNode("n1");
    const until = timesOf({ certificate }).toMs;
    const slow = createClient(
      ComputeAgentService,
      as({ certificate, authority, key }, agent.url, { kind: "node", name: "n1" }),
    );
    expect((await refused(slow.listDomains({}))).code).toBe("PermissionDenied");
    let calls = 0;
    while (Date.now() < until + 2_000) {
      await nodes.getNode({ name: "n1" });
      expect(await isReady("n1")).toBe(true);
      calls += 1;
    }
    expect(calls).toBeGreaterThan(5);
    expect(timesOf(readIdentity(folder)!).toMs).toBeGreaterThan(until);
    // The first one has expired on the connection that it was shown on.
    expect((await refused(slow.listDomains({}))).message).toContain("one of the clocks is wrong");
  });
});

describe("a join", () => {
  test("sends its token to no API of another authority", async () => {
    await startApi();
    const [secret] = (await tokenFor()).split(".");
    const other = `${secret}.${"A".repeat(43)}`;
    await expect(startAgent("n1", newFolder(), other)).rejects.toThrow("The token was not sent");
    expect((await joins.listJoinTokens({})).joinTokens).toMatchObject([{ usedBy: "" }]);
    await expect(startAgent("n1", newFolder(), "nonsense")).rejects.toThrow("must be a token");
  });

  test("that died before it had the answer goes on with the same key, and no other agent takes its place", async () => {
    await startApi();
    const token = await tokenFor();
    const [secret = ""] = token.split(".");
    const folder = newFolder();
    const key = newPrivateKey();
    writeJoining(folder, { nodeName: "n1", key, joinedWith: hashOfSecret(secret) });
    const certificateRequest = await newCertificateRequest(key);
    await joins.join({ secret, nodeName: "n1", certificateRequest });
    await expect(startAgent("n1", newFolder(), token)).rejects.toThrow("works only once");
    await startAgent("n1", folder, token);
    expect(readIdentity(folder)?.key).toBe(key);
    expect(readdirSync(join(folder, "identity"))).toEqual(["identity.json"]);
    expect(statSync(join(folder, "identity", "identity.json")).mode & 0o777).toBe(0o600);
  });

  test("reaches an API whose clients see a certificate of another authority", async () => {
    const { cert, key } = selfSigned();
    const [tlsCert, tlsKey] = [join(base, "cert.pem"), join(base, "key.pem")];
    writeFileSync(tlsCert, cert);
    writeFileSync(tlsKey, key);
    await startApi({ tlsCert, tlsKey }, cert);
    await joinNode("n1");
  });
});

test("a certificate whose file changes is served to new connections, and those that exist go on", async () => {
  const [tlsCert, tlsKey] = [join(base, "cert.pem"), join(base, "key.pem")];
  const [first, second] = [selfSigned(), selfSigned()];
  const write = ({ cert, key }: typeof first) => {
    writeFileSync(tlsCert, cert);
    writeFileSync(tlsKey, key);
  };
  write(first);
  await startApi({ tlsCert, tlsKey }, first.cert);
  await nodes.listNodes({});
  const served = () =>
    new Promise<string>((resolve, reject) => {
      const port = Number(new URL(endpoint).port);
      const options = {
        host: "127.0.0.1",
        port,
        servername: "localhost",
        rejectUnauthorized: false,
      };
      const socket = connect(options, () => {
        resolve(socket.getPeerX509Certificate()?.toString() ?? "");
        socket.destroy();
      });
      socket.on("error", reject);
    });
  expect(await served()).toBe(first.cert);
  // Half of a change is no certificate.
  writeFileSync(tlsCert, second.cert);
  await joinNode("n1");
  expect(await served()).toBe(first.cert);
  write(second);
  await expect.poll(served).toBe(second.cert);
  await nodes.listNodes({});
  expect(await isReady("n1")).toBe(true);
});

test("an agent's port talks to nobody without a certificate of the authority", async () => {
  await startApi();
  const { agent } = await joinNode("n1");
  const { port } = new URL(agent.url);
  const first = (options: object) =>
    new Promise<string>((resolve) => {
      const socket = connect({
        host: "127.0.0.1",
        port: Number(port),
        rejectUnauthorized: false,
        ...options,
      });
      socket.on("error", (error) => resolve(String((error as NodeJS.ErrnoException).code)));
      socket.on("close", () => resolve("closed"));
      socket.on("data", () => resolve("data"));
      socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
    });
  expect(await first({})).toMatch(/CERTIFICATE_REQUIRED|closed|ECONNRESET|EPIPE/);
  const foreign = await openAuthority(
    await newAuthorityFiles(Date.now(), systemRandom),
    systemRandom,
  );
  const key = newPrivateKey();
  const subject = { uri: "n0stack://api", commonName: "x", hosts: [], lifetimeMs: 60_000 };
  const cert = await foreign.sign({ ...subject, publicKey: publicKeyOf(key) }, Date.now());
  expect(await first({ cert, key })).not.toBe("data");
});
