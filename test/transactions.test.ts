// The real programs: n0core's API, which is killed, and n0cli, which sees and ends what others asked for.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { NodeService } from "../src/gen/n0stack/pool/v0/node_pb.ts";
import { readTokenFile } from "../src/rpc/token-auth.ts";
import { openTransport } from "../src/rpc/transport.ts";
import { untilAborted } from "../src/util/race.ts";
import { until } from "../src/util/until.ts";
import { newProgram } from "./crash/program.ts";
import { run } from "./e2e/program.ts";
import { newFakeDrivers } from "./fake-drivers.ts";
import { freePort } from "./free-port.ts";
import { type ServedNode, serveFakeNode } from "./served-node.ts";
import { newTokenFile, type TokenFile } from "./token-file.ts";

const PATIENCE_MS = 60_000;
const HEARTBEAT_MS = 3_000;

/** A node whose agent is in this process: it outlives the API. It is READY. */
async function addNode(endpoint: string, { token, path }: TokenFile): Promise<ServedNode> {
  const node = await serveFakeNode("n", token);
  const transport = openTransport(endpoint, 1, { token: readTokenFile(path) });
  const nodes = createClient(NodeService, transport);
  const size = { cpuMilliCores: 8000, memoryBytes: 1n << 34n, storageBytes: 1n << 40n };
  await nodes.applyNode({ name: "n", address: node.url, ...size });
  const beat = () => void nodes.heartbeatNode({ name: "n" }).catch(() => undefined);
  const heart = setInterval(beat, HEARTBEAT_MS);
  onTestFinished(async () => {
    clearInterval(heart);
    transport.close();
    await node[Symbol.asyncDispose]();
  });
  return node;
}

async function serveApi() {
  const folder = mkdtempSync(join(tmpdir(), "n0-transactions-"));
  const port = await freePort();
  const base = join(folder, "base");
  const tokenFile = newTokenFile(base);
  const flags = ["--bind-port", String(port), "--base-directory", base];
  const args = ["api", ...flags, "--history-retention", "30d"];
  const api = newProgram({ name: "api", folder, args });
  onTestFinished(async () => {
    api.signal("SIGKILL");
    await api.ended();
    rmSync(folder, { recursive: true });
  });
  expect(await api.start(), api.log()).toBe(true);
  const endpoint = `http://127.0.0.1:${port}`;
  const n0cli = (line: string) =>
    run("bin/n0cli", [
      "--api-endpoint",
      endpoint,
      "--token-file",
      tokenFile.path,
      ...line.split(" "),
    ]);
  return { api, endpoint, tokenFile, n0cli };
}

const CREATE = "bs create data --request_bytes 1GiB --limit_bytes 1GiB";

test("one that waits for its node is seen and cancelled by another n0cli; its end outlives the API", {
  timeout: 4 * PATIENCE_MS,
}, async () => {
  const { api, endpoint, tokenFile, n0cli } = await serveApi();
  const agent = await addNode(endpoint, tokenFile);
  agent.drivers.volume.before = async ({ method, signal }) => {
    if (method === "ensureEmpty") await untilAborted(signal);
  };
  const creating = n0cli(CREATE);
  const open = async () => {
    const { stdout } = await n0cli("tx list --open --rpc CreateBlockStorage -o json");
    return JSON.parse(stdout).transactions?.[0];
  };
  const found = await until(
    async () => {
      const transaction = await open();
      return transaction?.wait?.node === undefined ? undefined : transaction;
    },
    { timeoutMs: PATIENCE_MS },
  );
  expect(found).toMatchObject({
    asker: { peer: "127.0.0.1", user_agent: expect.stringMatching(/^n0cli\/\d/) },
    wait: { node: { node: "n", step: "volume.ensure_empty" } },
  });
  const cancelling = await n0cli(`tx cancel ${found.id} -o table`);
  expect(cancelling).toMatchObject({ code: 0, stdout: expect.stringContaining("was cancelled") });
  expect(cancelling.stdout + cancelling.stderr).not.toContain("in time");
  expect(await creating).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("CreateBlockStorage was cancelled on request"),
  });
  expect(agent.drivers.volume.snapshot()).toEqual(newFakeDrivers().volume.snapshot());

  api.signal("SIGKILL");
  await api.ended();
  expect(await api.start()).toBe(true);
  const shown = JSON.parse((await n0cli(`tx show ${found.id} -o json`)).stdout);
  expect(shown).toMatchObject({
    phase: "PHASE_UNDONE",
    cancellation: { asker: { peer: "127.0.0.1" } },
    error: "CreateBlockStorage was cancelled on request",
  });
  expect((await n0cli("get bs -o name")).stdout).toBe("");
});

test("one that was cut off by the death of the API is undone by the next, and its history says so", {
  timeout: 4 * PATIENCE_MS,
}, async () => {
  const { api, endpoint, tokenFile, n0cli } = await serveApi();
  const agent = await addNode(endpoint, tokenFile);
  const acting = Promise.withResolvers<void>();
  agent.drivers.volume.before = async ({ method, signal }) => {
    if (method !== "ensureEmpty") return;
    acting.resolve();
    await untilAborted(signal);
  };
  const creating = n0cli(`--no-wait ${CREATE}`);
  await acting.promise;
  api.signal("SIGKILL");
  await api.ended();
  expect((await creating).code).toBe(1);
  expect(await api.start()).toBe(true);
  const undone = await until(
    async () => {
      const { stdout } = await n0cli("tx list --since 1h --state undone -o json");
      return JSON.parse(stdout).transactions?.[0];
    },
    { timeoutMs: PATIENCE_MS },
  );
  const { code, stdout } = await n0cli(`tx show ${undone.id} -o json`);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    rpc: "CreateBlockStorage",
    error: "the process ended while it was running",
    asker: { peer: "127.0.0.1" },
  });
  const steps: { name: string; state: string; duration?: string }[] = JSON.parse(stdout).steps;
  expect(steps.every(({ state }) => state === "STATE_UNDONE")).toBe(true);
  expect(steps.filter(({ duration }) => duration === undefined).map(({ name }) => name)).toEqual([
    "volume.ensure_empty",
  ]);
  expect(agent.drivers.volume.snapshot()).toEqual(newFakeDrivers().volume.snapshot());
});
