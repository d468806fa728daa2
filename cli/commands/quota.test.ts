import { expect, test } from "vitest";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function n0cli(world: World, line: string) {
  const io = newTestIo({ transport: world.transport, isTerminal: true });
  const exitCode = await run(line.split(" "), io.io);
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

test("quota set changes what it names, and quota show has a line for each amount", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await n0cli(world, "network apply net --ipv4_cidr 10.0.0.0/24");
  const set = await n0cli(world, "quota set networks=1 memory=64GiB cpu=2000");
  expect(set.exitCode).toBe(0);
  await n0cli(world, "quota set cpu=unlimited");
  const { stdout, stderr } = await n0cli(world, "quota show");
  expect(stderr).toContain("project/default");
  expect(stdout).toMatch(/^AMOUNT +USED +LIMIT\n/);
  expect(stdout).toMatch(/^networks +1 +1$/m);
  expect(stdout).toMatch(/^memory_bytes +0B +64GiB$/m);
  expect(stdout).toMatch(/^cpu_milli_core +0 +unlimited$/m);
  expect((await n0cli(world, "quota show -o json")).stdout).toContain('"networks": "1"');

  const refusal = await n0cli(world, "network apply other --ipv4_cidr 10.1.0.0/24");
  expect(refusal.exitCode).toBe(7);
  expect(refusal.stderr).toContain(
    'project "default" has no quota left for networks: 1 used, 1 asked, 1 allowed',
  );
  expect((await n0cli(world, "quota get")).stdout).toContain("project/default");
  expect((await n0cli(world, "quota delete project/default")).exitCode).toBe(0);
  expect((await n0cli(world, "network apply other --ipv4_cidr 10.1.0.0/24")).exitCode).toBe(0);
});

test("the quota of a domain is set and shown with --domain", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await n0cli(world, "quota set --domain default images=3");
  const { stdout, stderr } = await n0cli(world, "quota show --domain default");
  expect(stderr).toContain("domain/default");
  expect(stdout).toMatch(/^images +0 +3$/m);
  expect((await n0cli(world, "quota show --domain none")).exitCode).toBe(5);
});

test.for(["images", "images=", "images=x", "images=1=2", "=1", "cpu=1 cpu_milli_core=2", "cpus=1"])(
  "quota set %s is wrong use",
  async (pairs) => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    expect((await n0cli(world, `quota set ${pairs}`)).exitCode).toBe(2);
  },
);
