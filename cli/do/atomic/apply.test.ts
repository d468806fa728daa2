import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Phase } from "../../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { run } from "../../program.ts";
import { openTestApi, type TestApi } from "../../testing/test-api.ts";
import { newTestIo, type TestIoOptions } from "../../testing/test-io.ts";

const FILE = `
parameters: {key: {secret: true, default: hidden-value}}
outputs: {node: '\${disk.node_name}'}
net: {type: network, action: ApplyNetwork, args: {name: lan, ipv4_cidr: 10.1.0.0/24}}
disk:
  type: block_storage
  action: CreateBlockStorage
  args: {name: '\${net.name}-disk', labels: {key: '\${param.key}'}, request_bytes: 1MiB, limit_bytes: 1MiB}
`;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-plan-"));
});
afterAll(async () => await rm(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

async function n0cli(api: TestApi, words: readonly string[], more: TestIoOptions = {}) {
  const t = newTestIo({ transport: api.transport, stdin: [FILE], ...more });
  const exitCode = await run(words, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

async function makePlan(api: TestApi, name: string, file = FILE): Promise<string> {
  const made = await n0cli(api, ["do", "-", "--plan-out", at(name)], { stdin: [file] });
  expect(made).toMatchObject({ exitCode: 3 });
  return at(name);
}

const apply = (api: TestApi, plan: string, more: TestIoOptions = {}) =>
  n0cli(api, ["do", "--apply", plan], { stdin: [], ...more });

async function objects({ world }: TestApi) {
  const { networks } = await world.networks.listNetworks({});
  const { blockStorages } = await world.blockStorages.listBlockStorages({});
  return [...networks, ...blockStorages].map(({ name }) => name);
}

test("a plan is kept for its owner alone, and applied once", async () => {
  await using api = await openTestApi();
  const made = await n0cli(api, ["do", "-", "--plan-out", at("once"), "-o", "json"]);
  expect(made.exitCode).toBe(3);
  expect(JSON.parse(made.stdout).changes).toHaveLength(2);
  expect(made.stderr).toContain("it holds the values of all parameters, also secret ones");
  expect((await stat(at("once"))).mode & 0o777).toBe(0o600);
  expect(readFileSync(at("once"), "utf8")).toContain("hidden-value");
  expect(await objects(api)).toEqual([]);
  const applied = await apply(api, at("once"));
  expect(applied.exitCode).toBe(0);
  expect(applied.stderr).toContain("  + block_storage/lan-disk\n  + network/lan\n");
  expect(applied.stderr).toContain("Task 'disk' is finished");
  expect(JSON.parse(applied.stdout)).toEqual({ outputs: { node: "node-1" } });
  expect(await objects(api)).toEqual(["lan", "lan-disk"]);
  const again = await apply(api, at("once"));
  // The transaction of a plan is gone with it.
  expect(again.stderr).not.toContain("transaction:");
  expect(again).toMatchObject({ exitCode: 6, stdout: "" });
  expect(again.stderr).toContain(
    "the plan is out of date: since then changed network/lan, block_storage/lan-disk: make it again",
  );
});

test("of two that apply one plan at the same time, one does", async () => {
  await using api = await openTestApi();
  const plan = await makePlan(api, "twice");
  const both = await Promise.all([apply(api, plan), apply(api, plan)]);
  expect(both.map(({ exitCode }) => exitCode).sort((a, b) => a - b)).toEqual([0, 6]);
  const refused = both.find(({ exitCode }) => exitCode === 6)!;
  expect(refused.stderr).toMatch(/since then changed .*network\/lan/);
  const { transactions } = await api.world.transactions.listTransactions({});
  expect(
    transactions.filter(({ rpc, phase }) => rpc === "RunTasks" && phase === Phase.DONE),
  ).toHaveLength(1);
});

test("a terminal asks before it applies, and --no-wait prints the transaction", async () => {
  await using api = await openTestApi();
  const plan = await makePlan(api, "asked");
  const no = await apply(api, plan, { isTerminal: true, stdin: ["no\n"] });
  expect(no.exitCode).toBe(1);
  expect(no.stderr).toMatch(
    /\+ network\/lan\n[^]*To do this as one transaction, type yes:\n.*nothing was changed/,
  );
  expect(await objects(api)).toEqual([]);
  const words = ["--no-wait", "do", "--apply", plan, "--yes"];
  const yes = await n0cli(api, words, { isTerminal: true });
  expect(yes.exitCode).toBe(0);
  const id = yes.stdout.trim();
  const attached = await n0cli(api, ["do", "--attach", id]);
  expect(attached).toMatchObject({ exitCode: 0 });
  expect(await objects(api)).toEqual(["lan", "lan-disk"]);
});

test("what is not the whole plan that was made for this API and project is refused", async () => {
  await using api = await openTestApi();
  const plan = await makePlan(api, "whole");
  const text = await readFile(plan, "utf8");
  const json = JSON.parse(text);
  const cases: readonly [string, string | undefined, string][] = [
    ["missing", undefined, "missing does not exist"],
    ["edited", text.replace("10.1.0.0/24", "10.2.0.0/24"), "edited was changed after it was made"],
    ["no-sum", JSON.stringify({ ...json, checksum: undefined }), "was changed after it was made"],
    ["no-plan", '{"n0stack_plan": 1}', "was changed after it was made"],
    ["cut", text.slice(0, text.length / 2), "cut is not a whole plan"],
    ["later", JSON.stringify({ ...json, n0stack_plan: 2 }), "is a plan of version 2, not of"],
    ["text", JSON.stringify({ ...json, n0stack_plan: "1" }), "a plan of no known version"],
    ["other", FILE, "other is not a plan: n0cli do --plan-out makes one"],
    ["empty", "", "empty is not a plan"],
    ["null", "null", "null is not a plan"],
    ["deep", `{"n0stack_plan": 1, "plan": ${"[".repeat(1e5)}${"]".repeat(1e5)}}`, "deep "],
    ["large", `{"n0stack_plan": 1, "plan": "${" ".repeat(64 << 20)}"}`, "is larger than 64 MiB"],
  ];
  for (const [name, content, why] of cases) {
    if (content !== undefined) await writeFile(at(name), content);
    const refused = await apply(api, at(name));
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(why) });
  }
  const there = (words: string[]) => n0cli(api, ["do", "--apply", plan, ...words]);
  expect(await there(["--project", "acme"])).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringContaining('for project "default", not for "acme"') },
  });
  expect(await there(["--api-endpoint", "https://other:1"])).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringContaining("not for https://other:1: use --api-end") },
  });
  for (const more of [["-"], ["--atomic"], ["--set", "a=b"]]) {
    expect(await there(more)).toMatchObject({ exitCode: 2 });
  }
  // The same content, written in another way.
  await writeFile(at("tidy"), JSON.stringify(json));
  expect(await apply(api, at("tidy"))).toMatchObject({ exitCode: 0 });
});

test("a plan overwrites only a plan, and leaves nothing else", async () => {
  await using api = await openTestApi();
  await writeFile(at("notes"), "mine");
  await makePlan(api, "first");
  await symlink("first", at("link"));
  await makePlan(api, "link");
  expect((await stat(at("first"))).mode & 0o777).toBe(0o600);
  for (const [path, why] of [
    [at("notes"), "notes exists and is not a plan: choose another name"],
    [folder, "exists and is not a plan"],
    [at("nowhere/plan"), "cannot write"],
    ["-", "takes the name of a file"],
  ]) {
    const refused = await n0cli(api, ["do", "-", "--plan-out", path!]);
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(why!) });
  }
  expect(await readFile(at("notes"), "utf8")).toBe("mine");
  // What would be refused cannot be done later either.
  await api.world.blockStorages.createBlockStorage({
    ...{ name: "lan-disk", requestBytes: 2n << 20n, limitBytes: 2n << 20n },
  });
  const refused = await n0cli(api, ["do", "-", "--plan-out", at("refused")]);
  expect(refused).toMatchObject({ exitCode: 6, stderr: expect.stringContaining("be refused") });
  expect(await readdir(folder)).not.toContain("refused");
  expect((await readdir(folder)).filter((name) => name.endsWith(".partial"))).toEqual([]);
});

test("says which task would be elsewhere", async () => {
  await using api = await openTestApi();
  const nets = `
a: {type: network, action: ApplyNetwork, args: {name: a, ipv4_cidr: 10.1.0.0/24}}
all: {type: network, action: ListNetworks}
`;
  const plan = await makePlan(api, "elsewhere", nets);
  // Another process of the API may answer otherwise than the one that made the plan.
  const changed = JSON.parse(await readFile(plan, "utf8"));
  changed.plan.planned.tasks[0].steps = [{ name: "other.step", node: "node-9" }];
  const { createHash } = await import("node:crypto");
  const sum = createHash("sha256").update(JSON.stringify(changed.plan)).digest("hex");
  await writeFile(plan, JSON.stringify({ ...changed, checksum: `sha256:${sum}` }));
  const refused = await apply(api, plan);
  expect(refused.exitCode).toBe(6);
  expect(refused.stderr).toMatch(
    /^task "a": would be .*, the plan says other\.step on node-9\n.*is out of date: make the plan again/,
  );
  expect(await objects(api)).toEqual([]);
});
