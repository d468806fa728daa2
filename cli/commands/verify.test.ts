import { expect, test } from "vitest";
import { driftOf } from "../../test/verify-cases.ts";
import { handsOn, newVerifyWorld } from "../../test/verify-world.ts";
import type { World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function n0cli(world: World, ...argv: string[]) {
  const test = newTestIo({ transport: world.transport, isTerminal: true });
  const exitCode = await run(argv, test.io);
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

test("exit 0 where all is in order, and nothing but a summary is said", async () => {
  await using world = await newVerifyWorld();
  const { exitCode, stdout, stderr } = await n0cli(world, "verify");
  expect([exitCode, stdout]).toEqual([0, ""]);
  expect(stderr).toContain(
    "Looked at 2 of 2 nodes, 2 virtual machines, 6 block storages: everything is in order.",
  );
});

test("exit 3 with a table of the findings; --plan says what would be done and does not do it", async () => {
  await using world = await newVerifyWorld();
  await driftOf("vm.without_domain")(handsOn(world));
  const found = await n0cli(world, "verify");
  expect(found.exitCode).toBe(3);
  expect(found.stdout).toMatch(/^SEVERITY +CODE +RESOURCE +NODE +FOUND\n/);
  expect(found.stdout).toMatch(/^error +vm\.without_domain +virtual_machine\/web +node-1 +none$/m);
  expect(found.stderr).toContain("1 finding, of which n0cli verify --repair repairs 1");
  const before = await world.residue();
  for (const flags of [["--plan"], ["--plan", "--repair"]]) {
    const plan = await n0cli(world, "verify", ...flags);
    expect(plan.exitCode).toBe(3);
    expect(plan.stdout).toContain("verify   defines the domain from the record, shut off");
  }
  expect(await world.residue()).toEqual(before);
});

test("--repair says each outcome and ends with what is left", async () => {
  await using world = await newVerifyWorld();
  const hands = handsOn(world);
  await driftOf("vm.without_domain")(hands);
  const repaired = await n0cli(world, "verify", "--repair");
  expect(repaired.exitCode).toBe(0);
  expect(repaired.stdout).toMatch(/^repaired +error +vm\.without_domain/m);
  expect(repaired.stderr).toContain("everything is in order");
  await driftOf("disk.without_volume")(hands);
  const left = await n0cli(world, "verify", "--repair", "-o", "json");
  expect(left.exitCode).toBe(3);
  const json = JSON.parse(left.stdout);
  expect(json.repairs).toMatchObject([
    { outcome: "REPAIR_OUTCOME_LEFT", finding: { code: "disk.without_volume" } },
  ]);
  expect(json.left.findings).toHaveLength(1);
});

test("exit 1 where a node does not answer, with what is known of the others", async () => {
  await using world = await newVerifyWorld();
  const hands = handsOn(world);
  await driftOf("vm.without_domain")(hands);
  world.fakeNodes[1]!.isDown = true;
  const found = await n0cli(world, "verify", "-o", "json");
  expect(found.exitCode).toBe(1);
  const codes = JSON.parse(found.stdout).findings.map((finding: { code: string }) => finding.code);
  expect(codes).toEqual(["node.unreachable", "vm.without_domain"]);
  const alone = await n0cli(world, "verify", "--node", "node-1", "-o", "name");
  expect([alone.exitCode, alone.stdout]).toEqual([3, "vm.without_domain virtual_machine/web\n"]);
});
