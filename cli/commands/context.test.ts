import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import type { Io } from "../io.ts";
import { run } from "../program.ts";
import { openTestApi } from "../testing/test-api.ts";
import { newTestIo } from "../testing/test-io.ts";

const api = await openTestApi();
afterAll(() => api[Symbol.asyncDispose]());
let homeFolder = "";
beforeEach(async () => {
  homeFolder = await mkdtemp(join(tmpdir(), "n0cli-home-"));
});
afterEach(() => rm(homeFolder, { recursive: true, force: true }));

/** Runs one command and says where it connected to, if it did. */
async function n0cli(words: string, env: Record<string, string> = {}) {
  const t = newTestIo({ homeFolder, env });
  let baseUrl: string | undefined;
  const io: Io = {
    ...t.io,
    async openTransport(connection) {
      baseUrl = connection.baseUrl;
      return { transport: api.transport, close() {} };
    },
  };
  const exitCode = await run(words.split(" "), io);
  return { exitCode, baseUrl, stdout: t.stdout(), stderr: t.stderr() };
}

test("the first context that is set is used until another one is", async () => {
  expect((await n0cli("context set lab --api-endpoint lab:1")).exitCode).toBe(0);
  await n0cli("context set live --api-endpoint https://live:2 --token-file /etc/token");
  expect((await n0cli("get vm")).baseUrl).toBe("http://lab:1");
  await n0cli("context use live");
  expect((await n0cli("get vm")).baseUrl).toBe("https://live:2");
  expect((await n0cli("get vm --context lab")).baseUrl).toBe("http://lab:1");
  expect((await n0cli("get vm", { N0CLI_CONTEXT: "lab" })).baseUrl).toBe("http://lab:1");
  const env = { N0CLI_API_ENDPOINT: "https://env:3" };
  expect((await n0cli("get vm", env)).baseUrl).toBe("https://env:3");
  expect(JSON.parse((await n0cli("context list")).stdout)).toEqual([
    { name: "lab", api_endpoint: "lab:1" },
    { name: "live", api_endpoint: "https://live:2", token_file: "/etc/token", current: "*" },
  ]);
  await n0cli("context set lab --project acme");
  expect(JSON.parse((await n0cli("context list")).stdout)[0]).toEqual({
    name: "lab",
    api_endpoint: "lab:1",
    project: "acme",
  });
  await n0cli("context delete live");
  expect((await n0cli("get vm")).baseUrl).toBe("http://localhost:20180");
});

test("the config file is its owner's alone", async () => {
  await n0cli("context set lab --api-endpoint lab:1");
  const path = join(homeFolder, ".config/n0stack/config.yaml");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readFile(path, "utf8")).toBe(
    "current_context: lab\ncontexts:\n  lab:\n    api_endpoint: lab:1\n",
  );
});

test.each([
  ["context use nothing", 5, /context "nothing" does not exist/],
  ["context delete nothing", 5, /context "nothing" does not exist/],
  ["get vm --context nothing", 2, /context "nothing" does not exist: see n0cli context list/],
  ["context set lab", 2, /say what to set/],
  ["context set lab --project a.b", 2, /"a.b" is not the name of a project/],
  ["context set a/b --api-endpoint x", 2, /is not a name/],
  ["context set lab --api-endpoint ftp://x", 2, /is not an API endpoint/],
])("%s is refused", async (words, exitCode, message) => {
  const result = await n0cli(words);
  expect(result.exitCode).toBe(exitCode);
  expect(result.stderr).toMatch(message);
});

test.each([
  ["[1", /config.yaml: /],
  ["- a", /must be a map/],
  ["contexts: {a: {api_url: x}}", /contexts.a.api_url is not a known key; there are api_endpoint/],
  ["contexts: {a: {api_endpoint: 1}}", /contexts.a.api_endpoint must be text/],
])("a config file of %j is refused, naming it", async (text, message) => {
  await n0cli("context set lab --api-endpoint lab:1");
  await writeFile(join(homeFolder, ".config/n0stack/config.yaml"), text);
  const { exitCode, stderr } = await n0cli("get vm");
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
});
