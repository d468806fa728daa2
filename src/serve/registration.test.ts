// Who may say where a node's agent is: the real API on a real port, and agents that are real or are not.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, type ConnectRouter, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refused } from "../../test/refused.ts";
import { serveFakeNode } from "../../test/served-node.ts";
import { newTokenFile } from "../../test/token-file.ts";
import { IdentityAgentService } from "../gen/n0stack/agent/v1alpha1/identity_pb.ts";
import { SurveyAgentService } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { VerifyService } from "../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { deriveAgentToken, proofOf } from "../rpc/agent-token.ts";
import { listen } from "../rpc/listen.ts";
import { readTokenFile } from "../rpc/token-auth.ts";
import { openTransport } from "../rpc/transport.ts";
import { silentLog } from "../util/log.ts";
import { loadSettings } from "./config.ts";
import { serveApi } from "./serve-api.ts";

const SIZE = { cpuMilliCores: 8_000, memoryBytes: 1n << 33n, storageBytes: 1n << 40n };

let opened: AsyncDisposableStack;
let operatorsToken: string;
let apiUrl: string;
let nodes: Client<typeof NodeService>;
let verify: Client<typeof VerifyService>;

beforeEach(async () => {
  opened = new AsyncDisposableStack();
  const baseDirectory = mkdtempSync(join(tmpdir(), "n0-registration-"));
  opened.defer(() => rmSync(baseDirectory, { recursive: true }));
  const { token, path } = newTokenFile(baseDirectory);
  operatorsToken = token;
  const flags = { baseDirectory, bindPort: "0" };
  const api = await serveApi(loadSettings("api", { flags, environment: {} }), silentLog);
  apiUrl = api.url;
  opened.defer(() => api.stop(1_000));
  const transport = openTransport(api.url, 1, { token: readTokenFile(path) });
  opened.defer(() => transport.close());
  nodes = createClient(NodeService, transport);
  verify = createClient(VerifyService, transport);
});
afterEach(() => opened.disposeAsync());

const apply = (name: string, address: string) => nodes.applyNode({ name, address, ...SIZE });
const addressOf = async (name: string) => (await nodes.getNode({ name })).address;

/** Whether the API reaches the node's agent, and is let in. */
async function isReached(name: string): Promise<boolean> {
  const { nodes: looked } = await verify.verify({});
  return looked.some((node) => node.nodeName === name && node.error === "");
}

type Prove = (
  nonce: Uint8Array,
) => Promise<{ nodeName: string; address: string; proof: Uint8Array }>;

/** What says that it is an agent, and writes down all that it is sent. */
async function serveFake(prove: (url: string) => Prove) {
  const seen: string[] = [];
  const note = (headers: Headers) => void seen.push(JSON.stringify([...headers]));
  let url = "";
  const routes = (router: ConnectRouter) => {
    router.service(IdentityAgentService, {
      async proveIdentity({ nonce }, { requestHeader }) {
        note(requestHeader);
        return await prove(url)(nonce);
      },
    });
    router.service(SurveyAgentService, {
      survey(_, { requestHeader }) {
        note(requestHeader);
        return {};
      },
    });
  };
  const listener = await listen({ host: "127.0.0.1", port: 0, log: silentLog, routes });
  opened.defer(() => listener.stop(100));
  url = listener.url;
  return {
    url,
    expectNoSecret() {
      expect(seen.length).toBeGreaterThan(0);
      const secrets = [operatorsToken, deriveAgentToken(operatorsToken), "authorization"];
      for (const secret of secrets) expect(seen.join()).not.toContain(secret);
    },
  };
}

const guessing = (name: string) => (url: string) => async (nonce: Uint8Array) => {
  const identity = { nodeName: name, address: url };
  return { ...identity, proof: proofOf("a guess of the token", nonce, identity) };
};

test("an agent that holds the agents' token registers, is called with it, and moves at once", async () => {
  const first = await serveFakeNode("web-1", operatorsToken);
  await apply("web-1", first.url);
  expect(await isReached("web-1")).toBe(true);
  await first[Symbol.asyncDispose]();
  await using second = await serveFakeNode("web-1", operatorsToken);
  const startMs = performance.now();
  await apply("web-1", second.url);
  expect(performance.now() - startMs).toBeLessThan(5_000);
  expect(await addressOf("web-1")).toBe(second.url);
  expect(await isReached("web-1")).toBe(true);
});

test("an agent that is called elsewhere from now on says so where it was", async () => {
  const moved = { address: "" };
  const mover = await serveFake(() => async (nonce) => {
    const own = { nodeName: "web-1", address: moved.address };
    return { ...own, proof: proofOf(deriveAgentToken(operatorsToken), nonce, own) };
  });
  moved.address = mover.url;
  await apply("web-1", mover.url);
  // Where nobody can ask, so that its word at the old address is all that there is.
  moved.address = "http://127.0.0.1:1";
  await apply("web-1", moved.address);
  expect(await addressOf("web-1")).toBe("http://127.0.0.1:1");
});

test("of two agents with one name the second is told where the first is, and what to do", async () => {
  await using first = await serveFakeNode("web-1", operatorsToken);
  await using second = await serveFakeNode("web-1", operatorsToken);
  await apply("web-1", first.url);
  const error = await refused(apply("web-1", second.url));
  expect(error).toMatchObject({ code: "FailedPrecondition", resource: "node/web-1" });
  expect(error.message).toContain(`the agent of node "web-1" answers at ${first.url}`);
  expect(error.message).toContain("start it with another --name");
  expect(await addressOf("web-1")).toBe(first.url);
  // The first one may say again where it is.
  await apply("web-1", first.url);
});

describe("a fake", () => {
  test("takes neither a live node nor a dead one, nor registers a new one, and sees no secret", async () => {
    const node = await serveFakeNode("web-1", operatorsToken);
    await apply("web-1", node.url);
    const fake = await serveFake(guessing("web-1"));
    expect(await refused(apply("web-1", fake.url))).toMatchObject({ code: "FailedPrecondition" });
    expect(await isReached("web-1")).toBe(true);
    await node[Symbol.asyncDispose]();
    const dead = await refused(apply("web-1", fake.url));
    expect(dead.message).toContain(
      `nobody at ${fake.url} proves to be the agent of node "web-1": the server there does not have`,
    );
    expect(await addressOf("web-1")).toBe(node.url);
    const other = await serveFake(guessing("new"));
    expect(await refused(apply("new", other.url))).toMatchObject({ code: "FailedPrecondition" });
    expect(await refused(nodes.getNode({ name: "new" }))).toMatchObject({ code: "NotFound" });
    fake.expectNoSecret();
    other.expectNoSecret();
  });

  test("gains nothing by passing the question on to the real agent", async () => {
    await using real = await serveFakeNode("web-1", operatorsToken);
    const transport = opened.adopt(openTransport(real.url, 1), (one) => one.close());
    const agent = createClient(IdentityAgentService, transport);
    const relay = await serveFake(() => async (nonce) => await agent.proveIdentity({ nonce }));
    const plain = await refused(apply("web-1", relay.url));
    expect(plain.message).toContain(`its agent says that its address is ${real.url}`);
    const lying = await serveFake((url) => async (nonce) => ({
      ...(await agent.proveIdentity({ nonce })),
      address: url,
    }));
    const altered = await refused(apply("web-1", lying.url));
    expect(altered.message).toContain("does not have the agents' token");
    const named = await serveFake(() => async (nonce) => await agent.proveIdentity({ nonce }));
    expect((await refused(apply("other", named.url))).message).toContain(
      "the agent of another node",
    );
    for (const fake of [relay, lying, named]) fake.expectNoSecret();
  });
});

test("an address where nobody answers is refused soon, with the reason", async () => {
  const error = await refused(apply("web-1", "127.0.0.1:1"));
  expect(error).toMatchObject({ code: "FailedPrecondition" });
  expect(error.message).toMatch(/nobody at 127\.0\.0\.1:1 proves .*: .+\. Start the agent first/);
});

test("a registration that is given up while nobody answers is no bug", async () => {
  const silent = await serveFake(() => async () => await new Promise<never>(() => {}));
  const response = await fetch(`${apiUrl}/n0stack.pool.v0.NodeService/ApplyNode`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${operatorsToken}`,
      "content-type": "application/json",
      // The client does not hang up by itself, so that the API's own answer is seen.
      "connect-timeout-ms": "300",
    },
    body: JSON.stringify({ name: "web-1", address: silent.url, cpuMilliCores: 1000 }),
  });
  expect(await response.json()).toMatchObject({ code: "unavailable" });
});
