import { expect, test } from "vitest";
import { newAuthorityFiles, openAuthority } from "../../src/rpc/certificate/authority.ts";
import { systemRandom } from "../../src/util/random.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function newApi(): Promise<World> {
  const files = await newAuthorityFiles(Date.now(), systemRandom);
  const authority = await openAuthority(files, systemRandom);
  return await newWorld({
    nodeCount: 0,
    inMemory: true,
    joining: {
      authority: async () => authority,
      apiEndpoint: () => "https://192.0.2.1:20180",
      certificateLifetimeMs: 60_000,
    },
  });
}

async function n0cli(world: World, line: string) {
  const t = newTestIo({ transport: world.transport, isTerminal: true });
  const exitCode = await run(line.split(" "), t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

test("join-token prints the one command of the new node", async () => {
  await using world = await newApi();
  const any = await n0cli(world, "node join-token");
  expect(any.stdout).toMatch(
    /^n0core serve agent --join [\w-]{32}\.[\w-]{43} --node-api-endpoint https:\/\/192\.0\.2\.1:20180\n$/,
  );
  expect(any.stderr).toContain("It works once");
  const own = await n0cli(
    world,
    "--api-endpoint https://cloud.example:1 node join-token --node n1",
  );
  expect(own.stdout).toMatch(
    /agent --name n1 --join \S+ --node-api-endpoint https:\/\/cloud\.example:1\n$/,
  );
  const { stdout } = await n0cli(world, "-o json node join-token --expires 7d");
  const { join_token: token } = JSON.parse(stdout);
  expect(Date.parse(token.expires_at) - Date.parse(token.created_at)).toBe(7 * 86_400_000);
  expect((await n0cli(world, "node join-tokens")).stdout).toContain(token.id);
  expect(await n0cli(world, `node revoke-join-token ${token.id}`)).toMatchObject({ exitCode: 0 });
  expect((await n0cli(world, "node join-tokens")).stdout).not.toContain(token.id);
});

test("rejoin prints the command for a node that exists, and for no other", async () => {
  await using world = await newApi();
  expect((await n0cli(world, "node rejoin n1")).exitCode).toBe(5);
  const amounts = { cpuMilliCores: 1000, memoryBytes: 1n << 30n, storageBytes: 1n << 30n };
  await world.nodes.applyNode({ name: "n1", address: "192.0.2.7", ...amounts });
  const { exitCode, stdout, stderr } = await n0cli(world, "node rejoin n1 --expires 1d");
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^n0core serve agent --name n1 --join \S+ --node-api-endpoint \S+\n$/);
  expect(stderr).toContain("Run this as root on node n1. It works once.");
});

test("a wrong duration is said before anything is sent", async () => {
  await using world = await newApi();
  const { exitCode, stderr } = await n0cli(world, "node join-token --expires soon");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("--expires: must be a duration such as 30m, 1h or 7d");
});
