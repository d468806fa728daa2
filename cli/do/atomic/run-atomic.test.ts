import { expect, test } from "vitest";
import { newGate } from "../../../test/gate.ts";
import { run } from "../../program.ts";
import { openTestApi, type TestApi } from "../../testing/test-api.ts";
import { newTestIo, type TestIoOptions } from "../../testing/test-io.ts";

const FILE = `
outputs: {cidr: '\${net.ipv4_cidr}'}
net: {type: network, action: ApplyNetwork, args: {name: lan, ipv4_cidr: 10.1.0.0/24}}
disk:
  type: block_storage
  action: CreateBlockStorage
  args: {name: '\${net.name}-disk', request_bytes: 1MiB, limit_bytes: 1MiB}
`;
const BROKEN = `${FILE}
gone: {type: network, action: DeleteNetwork, args: {name: nothing}, depends_on: disk}
`;

function start(api: TestApi, words: string[], stdin = FILE, more: TestIoOptions = {}) {
  const io = newTestIo({ transport: api.transport, stdin: [stdin], ...more });
  return { io, exitCode: run(words, io.io) };
}

async function doFile(api: TestApi, words: string[], stdin?: string, more?: TestIoOptions) {
  const { io, exitCode } = start(api, ["do", "--atomic", "-", ...words], stdin, more);
  return { exitCode: await exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

test("a file is one transaction, with a line for each task and the outputs", async () => {
  await using api = await openTestApi();
  const { exitCode, stdout, stderr } = await doFile(api, []);
  expect(stderr).toContain("Task 'disk' is finished");
  expect(stderr).toMatch(/^---> Transaction [0-9a-f-]+\n/);
  expect(stderr).toMatch(/DAG tasks are completed\n$/);
  expect({ exitCode, stdout: JSON.parse(stdout) }).toEqual({
    exitCode: 0,
    stdout: { outputs: { cidr: "10.1.0.0/24" } },
  });
  const { transactions } = await api.world.transactions.listTransactions({});
  expect(transactions.map(({ rpc }) => rpc)).toContain("RunTasks");
});

test("if a task fails, nothing is changed, and the user sees which one and why", async () => {
  await using api = await openTestApi();
  const { exitCode, stderr } = await doFile(api, [], BROKEN);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`task "gone" (DeleteNetwork): network "nothing" does not exist`);
  expect(stderr).toContain("Task 'disk' is undone");
  expect(stderr).toContain("Nothing was changed: 3 tasks undone");
  expect((await api.world.networks.listNetworks({})).networks).toEqual([]);
});

test("-o jsonl has a line for each change, and -o json all tasks with their answers", async () => {
  await using api = await openTestApi();
  const { stdout } = await doFile(api, ["-o", "jsonl"]);
  const changes = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(changes.at(-1)).toEqual({ outputs: { cidr: "10.1.0.0/24" } });
  expect(changes.at(-2)).toMatchObject({ state: "done" });
  const again = await doFile(
    api,
    ["-o", "json"],
    "net: {type: network, action: GetNetwork, args: {name: lan}}",
  );
  expect(JSON.parse(again.stdout).tasks).toMatchObject([
    { name: "net", state: "STATE_DONE", answer: { name: "lan" } },
  ]);
});

test("an interrupt detaches, --attach shows it again, and a broken connection is opened again", async () => {
  await using api = await openTestApi();
  const gate = newGate();
  api.world.faults = async ({ step, point }) => {
    if (step === "volume.ensure_empty" && point === "before_act") await gate.pass();
  };
  const first = start(api, ["do", "--atomic", "-"]);
  await gate.reached;
  first.io.interrupt();
  expect(await first.exitCode).toBe(130);
  const [, id = ""] = /n0cli do --attach ([0-9a-f-]+)/.exec(first.io.stderr()) ?? [];
  const second = start(api, ["do", "--attach", id]);
  gate.open();
  expect(await second.exitCode).toBe(0);
  expect(second.io.stderr()).toContain("Task 'disk' is finished");
  const third = start(api, ["do", "--attach", id]);
  expect(await third.exitCode).toBe(0);
});

test("a terminal shows the tasks that run, and asks at an interrupt what to do", async () => {
  await using api = await openTestApi();
  const gate = newGate();
  api.world.faults = async ({ step, point }) => {
    if (step === "volume.ensure_empty" && point === "before_act") await gate.pass();
  };
  const { exitCode, io } = start(api, ["--no-wait", "do", "--atomic", "-"]);
  expect(await exitCode).toBe(0);
  await gate.reached;
  const id = io.stdout().trim();
  const shown = start(api, ["do", "--attach", id], "c", { isTerminal: true });
  while (!shown.io.stderr().includes("volume.ensure_empty"))
    await new Promise((done) => setTimeout(done, 20));
  shown.io.interrupt();
  while (!shown.io.stderr().includes("Cancelled"))
    await new Promise((done) => setTimeout(done, 20));
  gate.open();
  expect(await shown.exitCode).toBe(1);
  expect(shown.io.stderr()).toContain("Press c to cancel");
  expect((await api.world.networks.listNetworks({})).networks).toEqual([]);
});

test("--plan says what would happen and what an undo would remove, and changes nothing", async () => {
  await using api = await openTestApi();
  const planned = start(api, ["do", "--plan", "-"]);
  expect(await planned.exitCode).toBe(3);
  const text = planned.io.stdout();
  expect(text).toContain("net: ApplyNetwork\ndisk: CreateBlockStorage (node-1)\n");
  expect(text).toContain("    volume.ensure_empty of lan-disk on node-1; its undo removes ");
  expect(text).toContain("  + block_storage/lan-disk\n  + network/lan\n");
  expect(text).toContain("  disk_bytes of the project: 0 -> 1048576\n");
  expect((await api.world.networks.listNetworks({})).networks).toEqual([]);
  const broken = start(api, ["do", "--plan", "-"], BROKEN);
  expect(await broken.exitCode).toBe(5);
  expect(broken.io.stderr()).toContain(
    `task "gone" (DeleteNetwork): network "nothing" does not exist`,
  );
  const idle = start(api, ["do", "--plan", "-"], "all: {type: network, action: ListNetworks}");
  expect(await idle.exitCode).toBe(0);

  await api.world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.1.0.0/24" });
  const wider = start(
    api,
    ["do", "--plan", "-"],
    FILE.replace("0/24}", "0/16, domain: a.example}"),
  );
  expect(await wider.exitCode).toBe(3);
  expect(wider.io.stdout()).toContain(
    '  ~ network/lan\n      ipv4_cidr: "10.1.0.0/24" -> "10.1.0.0/16"\n      domain: "" -> "a.example"\n',
  );
});
