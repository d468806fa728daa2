import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { inProject } from "../test/projects.ts";
import { run } from "./program.ts";
import { openTestApi } from "./testing/test-api.ts";
import { newTestIo } from "./testing/test-io.ts";
import { openGrpcTransport } from "./transport.ts";

const api = await openTestApi();
await inProject(api.world, "acme");
await inProject(api.world, "lab");
let server: Http2Server;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-project-"));
  server = createServer(connectNodeAdapter(api.server)).listen(0, "127.0.0.1");
  await once(server, "listening");
});
beforeEach(() => api.reset());
afterAll(async () => {
  server.close();
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function n0cli(words: readonly string[], env: Record<string, string> = {}) {
  const { port } = server.address() as AddressInfo;
  const endpoint = { N0CLI_API_ENDPOINT: `http://127.0.0.1:${port}` };
  const t = newTestIo({ env: { ...endpoint, ...env } });
  const exitCode = await run(words, { ...t.io, openTransport: openGrpcTransport });
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

test("each call of a task file is in the project, and only there its objects are seen", async () => {
  const path = join(folder, "tasks.yaml");
  const args = "{name: net, ipv4_cidr: 10.0.0.0/24}";
  await writeFile(path, `net: {type: network, action: ApplyNetwork, args: ${args}}\n`);
  expect((await n0cli(["do", path, "--project", "acme"])).exitCode).toBe(0);
  expect(new Set(api.calls.map(({ header }) => header.get("n0-project")))).toEqual(
    new Set(["acme"]),
  );
  const names = async (...more: string[]) =>
    (await n0cli(["get", "network", "-o", "name", ...more])).stdout;
  expect(await names()).toBe("");
  expect(await names("--project", "acme")).toContain("net");
  expect((await n0cli(["get", "network", "-o", "name"], { N0CLI_PROJECT: "acme" })).stdout).toBe(
    await names("--project", "acme"),
  );
});

test("a shell is offered the names of the project", async () => {
  await n0cli(["user", "create", "ann"]);
  const offered = async (...words: string[]) => (await n0cli(["__complete", ...words, ""])).stdout;
  await n0cli(["network", "apply", "other", "--ipv4_cidr", "10.0.0.0/24", "--project", "lab"]);
  expect(await offered("network", "delete", "--project", "lab")).toMatch(/^other/);
  expect(await offered("network", "delete")).toBe("");
});

test("a name that is no project's is refused before anything is sent", async () => {
  const { exitCode, stderr } = await n0cli(["get", "network", "--project", "a/b"]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('"a/b" is not the name of a project');
  expect(api.calls).toEqual([]);
});
