import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { until } from "../../src/util/until.ts";
import { run } from "../program.ts";
import { openTestApi, type TestApi } from "../testing/test-api.ts";
import type { TestIoOptions } from "../testing/test-io.ts";
import { newTestIo } from "../testing/test-io.ts";

/** For what makes nothing. */
const idle = await openTestApi();
beforeEach(() => idle.reset());
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-do-"));
});
afterAll(async () => {
  await idle[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function diskNames({ world }: TestApi): Promise<readonly string[]> {
  const { blockStorages } = await world.blockStorages.listBlockStorages({});
  return blockStorages.map(({ name }) => name);
}

async function doText(text: string, api: TestApi, words: string[] = [], more: TestIoOptions = {}) {
  const test = newTestIo({ transport: api.transport, stdin: [text], ...more });
  const exitCode = await run(["do", "-", ...words], test.io);
  return { exitCode, stdout: test.stdout(), stderr: test.stderr(), sleptMs: test.sleptMs };
}

const DISKS = `
a: {type: block_storage, action: CreateBlockStorage, args: {name: a, request_bytes: 1MiB, limit_bytes: 1MiB}}
b:
  type: BlockStorage
  action: CopyBlockStorage
  args: {name: b, source_block_storage: a, request_bytes: 1MiB, limit_bytes: 1MiB}
  depends_on: a
`;

test("tasks run in order, with the original's words on stderr and the answers on stdout", async () => {
  await using api = await openTestApi();
  const { exitCode, stdout, stderr } = await doText(DISKS, api);
  expect(exitCode).toBe(0);
  expect(stderr.split("\n")).toEqual([
    "---> Task 'a' is started",
    "---> [ 1/2 ] Task 'a' is finished",
    "---> Task 'b' is started",
    "---> [ 2/2 ] Task 'b' is finished",
    "DAG tasks are completed",
    "",
  ]);
  const answers = stdout
    .trim()
    .split("\n\n")
    .map((t) => JSON.parse(t) as unknown);
  expect(answers).toMatchObject([
    { name: "a", request_bytes: "1048576", state: "AVAILABLE" },
    { name: "b", limit_bytes: "1048576" },
  ]);
  expect(await diskNames(api)).toEqual(["a", "b"]);
});

test("-o name prints what the tasks made, not what they are called", async () => {
  await using api = await openTestApi();
  const text = `
one: {type: block_storage, action: CreateBlockStorage, args: {name: a, request_bytes: 1MiB, limit_bytes: 1MiB}}
net: {type: network, action: ApplyNetwork, args: {name: lab, ipv4_cidr: 10.1.0.0/24}, depends_on: one}
list: {type: network, action: ListNetworks, depends_on: net}
gone: {type: network, action: DeleteNetwork, args: {name: lab}, depends_on: list}
`;
  const { exitCode, stdout } = await doText(text, api, ["-o", "name"]);
  expect([exitCode, stdout]).toEqual([0, "block_storage/a\nnetwork/lab\n"]);
});

test("a file with a mistake runs nothing", async () => {
  const api = idle;
  const { exitCode, stderr } = await doText(`${DISKS}c: {type: node, action: Nothing}\n`, api);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^-:8:25: Resource type 'node' do not have action 'Nothing'/);
  expect(stderr).toMatch(/1 problem\. Nothing was run\./);
  expect(api.calls).toEqual([]);
});

test("--check runs nothing", async () => {
  const api = idle;
  const { exitCode, stderr } = await doText(DISKS, api, ["--check"]);
  expect([exitCode, stderr, api.calls]).toEqual([
    0,
    "Checked 2 tasks and found no problem. Nothing was run.\n",
    [],
  ]);
});

const FAILING = `
bad: {type: block_storage, action: DeleteBlockStorage, args: {name: gone}}
after: {type: node, action: ListNodes, depends_on: [bad]}
slow: {type: node, action: GetNode, args: {name: node-1}}
free: {type: node, action: ListNodes, depends_on: [slow]}
`;

test("after a failure what runs ends, nothing else starts, and the summary says all of it", async () => {
  const api = idle;
  const t = newTestIo({ transport: api.transport, stdin: [FAILING] });
  api.before = async ({ method }) => {
    if (method === "GetNode") await until(() => t.stderr().includes("Task 'bad' is failed"));
  };
  expect(await run(["do", "-"], t.io)).toBe(1);
  expect(t.stderr().split("\n")).toEqual([
    "---> Task 'bad' is started",
    "---> Task 'slow' is started",
    `---> [ 1/4 ] Task 'bad' is failed: [NotFound] block storage "gone" does not exist`,
    "     List what exists with n0cli get <resource>.",
    expect.stringMatching(/^ {5}transaction: [0-9a-f-]+$/),
    "     The transaction is unwound: everything is as it was before.",
    "---> Wait to finish requested tasks",
    "---> [ 2/4 ] Task 'slow', which was requested until failed, is finished",
    "done (1): slow",
    "failed (1): bad",
    "not started (2): after, free",
    "Failed to do tasks",
    "",
  ]);
});

test("an error that is to be ignored is said, and the rest goes on", async () => {
  const api = idle;
  const text = FAILING.replace("args: {name: gone}", "args: {name: gone}, ignore_error: true")
    .replace(/slow:.*\n/, "")
    .replace("[slow]", "[bad]");
  const { exitCode, stderr } = await doText(text, api);
  expect(exitCode).toBe(0);
  expect(stderr).toContain(
    `---> [ 1/3 ] Task 'bad' is failed, ignore error: [NotFound] block storage "gone" does not exist\n`,
  );
  expect(stderr).toContain("DAG tasks are completed");
});

test("one interrupt waits for what runs and starts nothing more", async () => {
  await using api = await openTestApi();
  const t = newTestIo({ transport: api.transport, stdin: [DISKS] });
  api.before = () => t.interrupt();
  expect(await run(["do", "-"], t.io)).toBe(130);
  expect(t.stderr()).toContain("---> Wait to finish requested tasks\n");
  expect(t.stderr()).toContain("---> [ 1/2 ] Task 'a' is finished\n");
  expect(t.stderr()).toContain("not started (1): b\n");
  expect(await diskNames(api)).toEqual(["a"]);
});

test("a second interrupt cancels what runs", async () => {
  const api = idle;
  const t = newTestIo({ transport: api.transport, stdin: [DISKS] });
  api.before = async () => {
    t.interrupt();
    t.interrupt();
    await new Promise(setImmediate);
  };
  expect(await run(["do", "-"], t.io)).toBe(130);
  expect(t.stderr()).toMatch(/Task 'a' is failed: \[Canceled\]/);
});

function refusal(code: Code, metadata: Record<string, string> = {}): ConnectError {
  const info = { reason: "aborted", domain: "n0stack", metadata };
  const retryDelay = { seconds: 2n, nanos: 0 };
  return new ConnectError("busy with CreateBlockStorage", code, undefined, [
    { desc: ErrorInfoSchema, value: info },
    { desc: RetryInfoSchema, value: { retryDelay } },
  ]);
}

test("a refusal that says when to come back is tried again, under the same idempotency key", async () => {
  await using api = await openTestApi();
  let refusals = 3;
  api.before = () => {
    if (refusals-- > 0) throw refusal(Code.Aborted);
  };
  const { exitCode, stderr, sleptMs } = await doText(DISKS, api);
  expect(exitCode).toBe(0);
  expect(stderr).toContain("to try again: [Aborted] busy with CreateBlockStorage\n");
  expect(sleptMs.every((ms) => ms >= 2000)).toBe(true);
  const keys = api.calls.filter((c) => c.method === "CreateBlockStorage");
  expect(keys).toHaveLength(4);
  expect(new Set(keys.map((c) => c.header.get("idempotency-key"))).size).toBe(1);
});

test("--no-wait takes a refusal as the answer", async () => {
  const api = idle;
  api.before = () => {
    throw refusal(Code.ResourceExhausted);
  };
  expect((await doText(DISKS, api, ["--no-wait"])).exitCode).toBe(1);
  expect(api.calls).toHaveLength(1);
});

test.each([
  ["a server is going down", refusal(Code.Unavailable)],
  [
    "what had begun is being undone",
    refusal(Code.Aborted, { transaction_id: "t1", rollback: "going_on" }),
  ],
])("under its key a change is tried again where %s", async (_, error) => {
  await using api = await openTestApi();
  api.before = () => {
    if (api.calls.length === 1) throw error;
  };
  expect((await doText(DISKS, api)).exitCode).toBe(0);
  expect(api.calls[0]?.header.get("idempotency-key")).toBe(
    api.calls[1]?.header.get("idempotency-key"),
  );
});

test.each([
  ["an operator must look", refusal(Code.Unavailable, { rollback: "needs_operator" })],
  ["nothing says when", new ConnectError("busy", Code.Aborted)],
])("a change is not tried again where %s", async (_, error) => {
  const api = idle;
  api.before = () => {
    throw error;
  };
  expect((await doText(DISKS, api)).exitCode).toBe(1);
  expect(api.calls).toHaveLength(1);
});

test("waiting ends after five minutes with the refusal", async () => {
  const api = idle;
  api.before = () => {
    throw refusal(Code.Aborted);
  };
  const { exitCode, sleptMs } = await doText(DISKS, api);
  expect(exitCode).toBe(1);
  expect(sleptMs.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(300_000);
});

const SIX_HUNDRED = Array.from(
  { length: 600 },
  (_, i) => `t${i}: {type: user, action: CreateUser, args: {name: n${i}}}\n`,
).join("");

test("600 tasks on a terminal are one line that changes", async () => {
  await using api = await openTestApi();
  const { exitCode, stderr, stdout } = await doText(SIX_HUNDRED, api, [], { isTerminal: true });
  expect(exitCode).toBe(0);
  expect(stdout).toBe("");
  const lines = stderr.split("\n");
  expect(lines.length).toBeLessThan(5);
  const shown = stderr.split("\r\u001b[K");
  expect(shown.some((s) => s.startsWith("---> [ 300/600 ] 10 running: "))).toBe(true);
  expect(shown.every((s) => s.split("\n").every((line) => line.length < 100))).toBe(true);
  expect((await api.world.users.listUsers({})).users).toHaveLength(600);
});

test("600 tasks in a pipe are a plain line for each event", async () => {
  await using api = await openTestApi();
  const { stderr } = await doText(SIX_HUNDRED, api, ["--parallel", "50"]);
  expect(stderr.split("\n")).toHaveLength(600 * 2 + 2);
  expect(stderr).not.toContain("\u001b");
});

test("several files are one graph", async () => {
  await using api = await openTestApi();
  const [first = "", ...rest] = DISKS.trim().split("\n");
  const paths = [join(folder, "1.yaml"), join(folder, "2.yaml")] as const;
  await writeFile(paths[0], rest.join("\n"));
  await writeFile(paths[1], first);
  const t = newTestIo({ transport: api.transport });
  expect(await run(["do", ...paths, "-o", "name"], t.io)).toBe(0);
  expect(t.stdout()).toBe("block_storage/a\nblock_storage/b\n");
});

test("a file that is not there is wrong use", async () => {
  const t = newTestIo({ transport: idle.transport });
  expect(await run(["do", join(folder, "none.yaml")], t.io)).toBe(2);
  expect(t.stderr()).toMatch(/none.yaml does not exist/);
});
