import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/util/clock.ts";
import { N0Error } from "../../src/util/errors.ts";
import { until } from "../../src/util/until.ts";
import { newGate } from "../../test/gate.ts";
import { prepareDisk, webRequest } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo, type TestIoOptions } from "../testing/test-io.ts";

async function newApi(): Promise<World> {
  // Its waiting takes a twentieth of its time.
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 20, signal),
  };
  const world = await newWorld({ inMemory: true, clock });
  onTestFinished(() => world[Symbol.asyncDispose]());
  await prepareDisk(world);
  return world;
}

async function n0cli(world: World, line: string, more: TestIoOptions = {}) {
  const t = newTestIo({ transport: world.transport, isTerminal: true, ...more });
  // Times of the API's are compared with the client's.
  const io = { ...t.io, clock: { ...t.io.clock, nowMs: () => systemClock.nowMs() } };
  const exitCode = await run(line.split(" "), io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

/** The id of the newest one. */
async function newest(world: World): Promise<string> {
  return (await n0cli(world, "tx list --limit 1 -o name")).stdout.trim();
}

/** Making `web` stands still in its seed. */
async function hold(world: World) {
  const gate = newGate();
  onTestFinished(gate.open);
  world.faults = ({ kind, step, point }) => {
    const isThere = step === "domain.write_new_seed" && point === "before_act";
    return kind === "CreateVirtualMachine" && isThere ? gate.pass() : undefined;
  };
  const made = world.virtualMachines.createVirtualMachine(webRequest());
  made.catch(() => undefined);
  await gate.reached;
  return { gate, made, id: await newest(world) };
}

test("tx list shows the newest first, and only what is asked for", async () => {
  const world = await newApi();
  const all = await n0cli(world, "tx list");
  expect(all.exitCode).toBe(0);
  const [header, ...lines] = all.stdout.trimEnd().split("\n");
  expect(header).toMatch(/^ID +METHOD +RESOURCE +PHASE +STARTED +TOOK$/);
  expect(lines.map((line) => line.split(/ {2,}/)[1])).toEqual([
    "CreateBlockStorage",
    "ApplyNetwork",
    "ApplyNode",
  ]);
  expect(lines[0]).toMatch(/block_storage\/root +done +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +\d+ms$/);
  const some = async (flags: string) => (await n0cli(world, `tx list -o name ${flags}`)).stdout;
  expect((await some("--resource bs/root")).split("\n")).toHaveLength(2);
  expect(await some("--rpc ApplyNode")).toBe(await some("--resource node/node-1"));
  expect((await some("--node node-1")).split("\n")).toHaveLength(2);
  expect((await some("--since 1h --state done")).split("\n")).toHaveLength(4);
  expect((await some("--since 2020-01-01")).split("\n")).toHaveLength(4);
  expect(await some("--open")).toBe("");
  const limited = await n0cli(world, "tx list --limit 2");
  expect(limited.stdout.split("\n")).toHaveLength(4);
  expect(limited.stderr).toContain("There are more: --limit 0");
  expect((await n0cli(world, "tx list --open")).stderr).toBe("No transaction matches.\n");
  const json = JSON.parse((await n0cli(world, "tx list --limit 1 -o json")).stdout);
  expect(json).toMatchObject({
    transactions: [{ rpc: "CreateBlockStorage", phase: "PHASE_DONE" }],
  });
  expect((await n0cli(world, "transaction ls --limit 1 -o yaml")).stdout).toMatch(
    /^transactions:\n/,
  );
});

test.each([
  ["tx list --since yesterday", '"yesterday" is not a time'],
  ["tx list --since -1h", '"-1h" is not a time'],
  ["tx list --state lost", "Allowed choices are running"],
  ["tx list --limit x", "It must be a whole number"],
  ["tx show ../x", "[InvalidArgument] id"],
  ["tx show", "missing required argument"],
])("%s is refused", async (line, words) => {
  const { exitCode, stderr } = await n0cli(await newApi(), line);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(words);
});

test.each(["show", "watch", "cancel", "retry", "give-up"])(
  "tx %s of none exits with 5",
  async (command) => {
    const { exitCode, stderr } = await n0cli(await newApi(), `tx ${command} 0-0`);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('[NotFound] transaction "0-0" does not exist');
  },
);

test("tx show tells who asked, what it waits for, and each step", async () => {
  const world = await newApi();
  const { gate, made, id } = await hold(world);
  const { exitCode, stdout } = await n0cli(world, `tx show ${id}`);
  expect(exitCode).toBe(0);
  expect(stdout).toContain(`transaction   ${id}\n`);
  expect(stdout).toContain(
    "what          CreateVirtualMachine virtual_machine/web block_storage/root\n",
  );
  expect(stdout).toContain("phase         running\n");
  expect(stdout).toMatch(/waits for +node node-1 to answer domain\.write_new_seed, for \d+ms\n/);
  expect(stdout).toMatch(/\nAT +STATE +STEP +OF +NODE +TOOK +TRIES\n/);
  expect(stdout).toMatch(/\n\+\d+ms +done +block_storage\.put_record +root +\d+ms +1\n/);
  expect(stdout).toMatch(/ done +node\.reserve_compute +web +node-1 +\d+ms +1\n/);
  expect(stdout).toMatch(/\n\+\d+ms +acting +domain\.write_new_seed +web +node-1 +1\n/);
  const listed = await n0cli(world, "tx list --open");
  expect(listed.stdout).toMatch(/WAITS FOR\n.* running .*node node-1 to answer/);
  const record = await n0cli(world, "get vm web");
  expect(record.stdout).toMatch(new RegExp(`TRANSACTION\n.*${id}\n`));
  gate.open();
  await made;
  expect((await n0cli(world, "get vm web")).stdout).not.toContain("TRANSACTION");
  const json = JSON.parse((await n0cli(world, `tx get ${id} -o json`)).stdout);
  expect(json).toMatchObject({ id, rpc: "CreateVirtualMachine", phase: "PHASE_DONE" });
});

test("tx watch prints what is new, a line each, until it is at rest", async () => {
  const world = await newApi();
  const { gate, id } = await hold(world);
  const watching = n0cli(world, `tx watch ${id}`);
  await until(() => world.opened.api.engine.live.find(id)!.rows.length === 6);
  gate.open();
  const { exitCode, stdout } = await watching;
  expect(exitCode).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  expect(lines[0]).toBe("CreateVirtualMachine virtual_machine/web");
  expect(lines).toContain("done     domain.release of web on node-1");
  expect(lines.at(-1)).toBe("done");
  expect(new Set(lines).size).toBeGreaterThan(10);
  const again = await n0cli(world, `tx watch ${id} -o jsonl`);
  expect(JSON.parse(again.stdout)).toMatchObject({ transaction: { id, phase: "PHASE_DONE" } });
});

test("tx cancel waits until it is undone; the other client is told, and once more is harmless", async () => {
  const world = await newApi();
  const before = await world.residue();
  const { gate, made, id } = await hold(world);
  const cancelling = n0cli(world, `tx cancel ${id}`);
  await until(() => world.opened.api.engine.live.find(id)?.signal.aborted === true);
  gate.open();
  const { exitCode, stdout, stderr } = await cancelling;
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/phase +unwound\n/);
  expect(stdout).toMatch(/UNDO +LAST ERROR\n/);
  expect(stdout).toMatch(/undone +block_storage\.put_record +root +\d+ms +1 +1 try, \d+ms\n/);
  expect(stderr).toMatch(/^undone +virtual_machine\.put_record of web$/m);
  await expect(made).rejects.toThrow("[canceled] CreateVirtualMachine was cancelled on request");
  expect(await world.residue()).toEqual(before);
  expect((await n0cli(world, `tx cancel ${id}`)).exitCode).toBe(0);
  expect((await n0cli(world, `tx watch ${id}`)).exitCode).toBe(1);
  const done = await n0cli(world, "tx list --rpc ApplyNode -o name");
  const refused = await n0cli(world, `tx cancel ${done.stdout.trim()}`);
  expect(refused.exitCode).toBe(6);
  expect(refused.stderr).toContain("cannot be cancelled: it is done");
});

test("a create that is cancelled by somebody else exits with 1, and says so", async () => {
  const world = await newApi();
  const gate = newGate();
  onTestFinished(gate.open);
  world.faults = ({ point }) => (point === "before_commit" ? gate.pass() : undefined);
  const creating = n0cli(world, "bs create data --request_bytes 1GiB --limit_bytes 1GiB");
  await gate.reached;
  const id = await newest(world);
  const cancelling = n0cli(world, `--no-wait tx cancel ${id}`);
  await until(() => world.opened.api.engine.live.find(id)?.signal.aborted === true);
  gate.open();
  expect((await cancelling).exitCode).toBe(0);
  const { exitCode, stderr } = await creating;
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    "[Canceled] CreateBlockStorage was cancelled on request\n" +
      `transaction: ${id}\n` +
      "The transaction is unwound: everything is as it was before.\n",
  );
});

/** Making `data` failed, and its file cannot be removed until `repair` is called. */
async function stick(world: World) {
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.after = ({ method }) => {
    if (method === "ensureEmpty") throw new N0Error("failed_precondition", "the answer is lost");
  };
  volume.before = ({ method }) => {
    if (method === "ensureAbsent") throw new N0Error("failed_precondition", "it is mounted");
  };
  const failed = await n0cli(world, "bs create data --request_bytes 1GiB --limit_bytes 1GiB");
  expect(failed.exitCode).toBe(9);
  const repair = () => {
    volume.before = volume.after = () => {};
  };
  return { id: await newest(world), failed, repair };
}

test("tx give-up says what stays, and goes on without the step", async () => {
  const world = await newApi();
  const { id } = await stick(world);
  const left = /volume\.ensure_empty.*: the file of volume "data\..*" on node "node-1"/;
  const before = await world.residue();
  const planned = await n0cli(world, `tx give-up ${id} --plan`);
  expect(planned).toMatchObject({ exitCode: 0, stdout: "", stderr: expect.stringMatching(left) });
  expect(await world.residue()).toEqual(before);
  const shown = await n0cli(world, `tx show ${id}`);
  expect(shown.stdout).toMatch(/if given up +volume\.ensure_empty leaves the file of volume/);
  const done = await n0cli(world, `tx give-up ${id}`);
  expect(done).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(left) });
  expect(done.stdout).toMatch(/phase +unwound/);
  expect(done.stdout).toMatch(/\ngiven up +volume\.ensure_empty leaves the file of volume/);
  expect((await n0cli(world, "verify -o name")).exitCode).toBe(3);
  expect(await n0cli(world, `tx give-up ${id}`)).toMatchObject({ exitCode: 6 });
});

test("tx retry takes up what needs an operator, and exits with 9 while it still does", async () => {
  const world = await newApi();
  const before = await world.residue();
  const { id, failed, repair } = await stick(world);
  expect(failed.stderr).toContain(`See n0cli tx show ${id}`);
  const listed = await n0cli(world, "tx list --state needs_operator -o wide");
  expect(listed.stdout).toMatch(/volume\.ensure_empty: .*it is mounted/);
  const shown = await n0cli(world, `tx show ${id}`);
  expect(shown.stdout).toMatch(/hindered by +volume\.ensure_empty: .*it is mounted/);
  expect(shown.stdout).toMatch(/failed +volume\.ensure_empty .* 5 tries .*it is mounted/);
  expect((await n0cli(world, `tx watch ${id}`)).exitCode).toBe(9);
  const still = await n0cli(world, `tx retry ${id}`);
  expect(still.exitCode).toBe(8);
  expect(still.stderr).toContain(`The transaction is still running: see n0cli tx watch ${id}`);
  repair();
  const retried = await n0cli(world, `tx retry ${id}`);
  expect(retried).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/phase +unwound/) });
  expect(await world.residue()).toEqual(before);
});

test("completion offers the transactions that a command can be about", async () => {
  const world = await newApi();
  const { gate, made, id } = await hold(world);
  const words = async (line: string) =>
    (await n0cli(world, `__complete ${line}`)).stdout.trimEnd().split("\n");
  expect(await words("tx cancel ")).toEqual([`${id}\tCreateVirtualMachine virtual_machine/web`]);
  expect(await words("tx show ")).toHaveLength(4);
  expect(await words("tx ")).toHaveLength(7);
  expect(await words("tx list --state ")).toContain("needs_operator");
  gate.open();
  await made;
});
