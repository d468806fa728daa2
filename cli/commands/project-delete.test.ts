import { expect, test } from "vitest";
import { PROJECT_HEADER } from "../../src/util/project.ts";
import { newWorld, type World, withHeaders } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function n0cli(world: World, line: string, typed?: string) {
  const isTerminal = typed !== undefined;
  const io = newTestIo({ transport: world.transport, isTerminal, stdin: [typed ?? ""] });
  const exitCode = await run(line.split(" "), io.io);
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

const inAcme = (world: World) => withHeaders(world, { [PROJECT_HEADER]: "acme" });

async function newFull(): Promise<World> {
  const world = await newWorld({ nodeCount: 1, inMemory: true });
  await n0cli(world, "project create acme");
  const { networks, images } = inAcme(world);
  await networks.applyNetwork({ name: "lan", ipv4Cidr: "10.0.0.0/24" });
  for (const name of ["a", "b", "c", "d", "e", "f"]) await images.applyImage({ name });
  return world;
}

const DELETE = "project delete acme --with-objects";

test("project delete --with-objects shows what goes, and deletes it when the name is typed", async () => {
  await using world = await newFull();
  expect((await n0cli(world, "project delete acme")).exitCode).toBe(6);
  const dry = await n0cli(world, `${DELETE} --dry-run`, "");
  expect(dry).toMatchObject({ exitCode: 0 });
  expect(dry.stdout).toContain("  6 images: a, b, c, d, e, …\n  1 network: lan\n");
  for (const typed of ["", "no\n", "acm\n"]) {
    const refused = await n0cli(world, DELETE, typed);
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain("nothing was deleted");
  }
  const done = await n0cli(world, DELETE, "acme\n");
  expect(done.exitCode).toBe(0);
  expect(done.stderr).toContain("1 network: lan");
  expect((await n0cli(world, "project get acme")).exitCode).toBe(5);
});

test("without a terminal it deletes objects only with --yes", async () => {
  await using world = await newFull();
  const refused = await n0cli(world, DELETE);
  expect(refused).toMatchObject({ exitCode: 2 });
  expect(refused.stderr).toContain("add --yes");
  expect((await n0cli(world, "project get acme")).exitCode).toBe(0);
  expect((await n0cli(world, "delete project acme --with-objects --yes")).exitCode).toBe(0);
  expect((await n0cli(world, "project get acme")).exitCode).toBe(5);
});

test("what prevents it is shown, and nothing is asked", async () => {
  await using world = await newFull();
  const { blockStorages } = inAcme(world);
  const size = { requestBytes: 1n << 20n, limitBytes: 1n << 20n };
  await blockStorages.createBlockStorage({ name: "kept", ...size });
  await blockStorages.setProtectedBlockStorage({ name: "kept" });
  const dry = await n0cli(world, `${DELETE} --dry-run`);
  expect(dry.exitCode).toBe(3);
  expect(JSON.parse(dry.stdout)).toMatchObject({
    obstacles: [expect.stringContaining('"kept" is PROTECTED')],
  });
  const refused = await n0cli(world, DELETE, "acme\n");
  expect(refused).toMatchObject({ exitCode: 6 });
  expect(refused.stderr).toContain("What prevents it:");
});
