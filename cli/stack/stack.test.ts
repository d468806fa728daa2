import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

const FILE = `
parameters:
  domain: {type: string, default: ""}
  word: {type: string, default: hidden, secret: true}
  size: {type: string, default: 2MiB}
lan:
  type: network
  action: ApplyNetwork
  args: {name: lan, ipv4_cidr: 10.1.0.0/24, domain: "\${param.domain}"}
disk:
  type: block_storage
  action: CreateBlockStorage
  args: {name: disk, request_bytes: 1MiB, limit_bytes: "\${param.size}", labels: {word: "\${param.word}"}}
outputs: {cidr: "\${lan.ipv4_cidr}"}
`;

interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function call(world: World, words: readonly string[]): Promise<Ran> {
  const t = newTestIo({ transport: world.transport });
  const exitCode = await run(words, t.io);
  return { exitCode, out: t.stdout(), err: t.stderr() };
}

function fileOf(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "stack-")), "lab.yaml");
  writeFileSync(path, text);
  return path;
}

test("a stack is applied, shown, changed back, read, and deleted", async () => {
  await using world = await newWorld({ inMemory: true });
  const file = fileOf(FILE);
  const stack = (...words: string[]) => call(world, ["stack", ...words]);
  const planned = await stack("apply", "lab", file, "--plan");
  expect([planned.exitCode, planned.out]).toEqual([3, expect.stringContaining("+ stack/lab")]);
  expect(await stack("apply", "lab", file)).toMatchObject({
    exitCode: 2,
    err: "nobody can be asked here: add --yes to do it, or --plan to see the plan\n",
  });
  const made = await stack("apply", "lab", file, "--yes");
  expect([made.exitCode, JSON.parse(made.out)]).toEqual([0, { outputs: { cidr: "10.1.0.0/24" } }]);
  expect((await stack("apply", "lab", file, "--plan")).exitCode).toBe(0);
  expect((await stack("show", "lab")).exitCode).toBe(0);

  await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24", domain: "by.hand" });
  const shown = await call(world, ["-o", "table", "stack", "show", "lab"]);
  expect([shown.exitCode, shown.out]).toEqual([
    3,
    expect.stringContaining(
      'network/lan: somebody has changed it\n      domain is "by.hand", and was ""',
    ),
  ]);
  const back = await stack("update", "lab", file, "--yes", "--set", "domain=own.example");
  expect([back.exitCode, back.err]).toEqual([
    0,
    expect.stringContaining("Since version 1 somebody has changed:\n  network/lan\n"),
  ]);
  expect((await world.networks.getNetwork({ name: "lan" })).domain).toBe("own.example");

  const history = JSON.parse((await stack("history", "lab")).out);
  expect(history.versions).toMatchObject([
    { version: 2, parameters: { domain: "own.example" } },
    { version: 1, parameters: { domain: "" } },
  ]);
  expect(JSON.stringify(history)).not.toContain("hidden");
  expect((await stack("history", "lab", "--file", "1")).out).toBe(FILE);
  expect(await stack("history", "lab", "--file", "x")).toMatchObject({ exitCode: 2 });
  expect((await call(world, ["get", "stacks", "-o", "name"])).out).toBe("lab\n");

  const smaller = ["--plan", "--set", "domain=own.example", "--set", "size=1MiB"];
  expect((await stack("apply", "lab", file, ...smaller)).err).toContain("--discard-data");
  const replaced = await stack("apply", "lab", file, ...smaller, "--discard-data");
  expect([replaced.exitCode, replaced.out]).toEqual([
    3,
    expect.stringContaining("  -/+ block_storage/disk (2MiB of data are lost)\n"),
  ]);

  const kept = await stack("delete", "lab", "--yes");
  expect([kept.exitCode, kept.err]).toEqual([
    6,
    expect.stringContaining('would lose block storage "disk" (2MiB)'),
  ]);
  expect((await stack("delete", "lab", "--discard-data", "--yes")).exitCode).toBe(0);
  expect((await stack("delete", "lab", "--yes")).exitCode).toBe(5);
  expect((await world.networks.listNetworks({})).networks).toEqual([]);
});

test("a stack is rolled back to a former version", async () => {
  await using world = await newWorld({ inMemory: true });
  const file = fileOf(FILE);
  const stack = (...words: string[]) => call(world, ["stack", ...words]);
  expect(await stack("update", "lab", file, "--yes")).toMatchObject({
    exitCode: 5,
    err: `stack "lab" does not exist: n0cli stack apply lab ${file} makes it\n`,
  });
  expect((await stack("apply", "lab", file, "--yes")).exitCode).toBe(0);
  expect(await stack("rollback", "lab")).toMatchObject({
    ...{ exitCode: 5, err: 'stack "lab" has no former version\n' },
  });
  const update = ["update", "lab", file, "--yes", "--set", "domain=own.example"];
  expect((await stack(...update)).exitCode).toBe(0);
  const planBack = await stack("rollback", "lab", "--plan");
  expect([planBack.exitCode, planBack.out]).toEqual([
    3,
    expect.stringContaining('~ network/lan\n      domain: "own.example" -> ""\n'),
  ]);
  expect((await stack("rollback", "lab", "--yes")).exitCode).toBe(0);
  expect((await world.networks.getNetwork({ name: "lan" })).domain).toBe("");
  // A flag is stronger than the value of then, and the version before is the one to go back to.
  const again = await stack("rollback", "lab", "--set", "domain=new.example", "--yes");
  expect(again.exitCode).toBe(0);
  expect((await world.networks.getNetwork({ name: "lan" })).domain).toBe("new.example");
  expect((await stack("rollback", "lab", "--to", "1", "--plan")).exitCode).toBe(3);
  expect(await stack("rollback", "lab", "--to", "9", "--yes")).toMatchObject({ exitCode: 5 });
  expect(await stack("rollback", "none", "--yes")).toMatchObject({ exitCode: 5 });
});
