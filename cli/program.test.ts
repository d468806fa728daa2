import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";
import { defined } from "../src/util/defined.ts";
import { SSH_KEY } from "../test/scenario.ts";
import { run } from "./program.ts";
import { openTestApi, type TestApi } from "./testing/test-api.ts";
import type { TestIoOptions } from "./testing/test-io.ts";
import { newTestIo } from "./testing/test-io.ts";

/** For what changes nothing, or fails. */
const idle = await openTestApi();
beforeEach(() => idle.reset());
afterAll(() => idle[Symbol.asyncDispose]());

async function n0cli(api: TestApi | undefined, argv: string[], more: TestIoOptions = {}) {
  const t = newTestIo({ ...defined({ transport: api?.transport }), ...more });
  const exitCode = await run(argv, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), executed: t.executed };
}

/** Runs each line of words; all must succeed. */
async function setUp(api: TestApi, lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const { exitCode, stderr } = await n0cli(api, line.split(" "));
    expect(`${line}: ${exitCode} ${exitCode === 0 ? "" : stderr}`).toBe(`${line}: 0 `);
  }
}

/** The names of all that there is. */
async function all(api: TestApi): Promise<readonly string[]> {
  const names: string[] = [];
  for (const kind of ["node", "network", "bs", "vm", "image", "user"]) {
    const { stdout } = await n0cli(api, ["get", kind, "-o", "name"]);
    names.push(...stdout.split("\n").filter((name) => name !== ""));
  }
  return names;
}

const DISK = "bs create data --request_bytes 1GiB --limit_bytes 10GiB";
const MACHINE =
  "vm create web --request_cpu_milli_core 100 --limit_cpu_milli_core 1000 --request_memory_bytes 512MiB " +
  "--limit_memory_bytes 512MiB --block_storage_names data --nics network_name=lab,ipv4_address=10.1.0.9";
const LAB = "net apply lab --ipv4_cidr 10.1.0.0/24";

test("--version needs nothing", async () => {
  const { exitCode, stdout } = await n0cli(undefined, ["--version"]);
  expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+/)]);
});

test.each([
  [["--help"]],
  [["vm", "create", "--help"]],
  [["help", "vm"]],
  [["do", "-h"]],
  [["context", "set", "--help"]],
])("%j shows examples first and needs no server", async (argv) => {
  const { exitCode, stdout } = await n0cli(undefined, argv);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^Examples:\n {2}\$ n0cli /);
});

test.each([
  [["nothing"]],
  [["vm", "nothing"]],
  [["vm", "create"]],
  [["vm", "get", "a", "b"]],
  [["vm", "create", "x", "--no_such_flag", "1"]],
  [["-o", "xml", "get", "vm"]],
  [["--timeout", "soon", "get", "vm"]],
  [["--api-endpoint"]],
  [["vm"]],
  [[]],
])("%j is wrong use", async (argv) => {
  const { exitCode, stdout, stderr } = await n0cli(undefined, argv);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).not.toBe("");
});

test("the whole life of a virtual machine", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB, DISK, MACHINE]);
  expect(await api.world.virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject({
    requestMemoryBytes: 536870912n,
    blockStorageNames: ["data"],
    nics: [{ networkName: "lab", ipv4Address: "10.1.0.9" }],
  });
  await setUp(api, ["vm save web", "vm resume web", "vm shutdown web --hard", "vm boot web"]);
  await setUp(api, ["vm update web --labels a=b=c --labels d:e", "vm reboot web", "vm delete web"]);
  await setUp(api, ["bs delete data", "bs undelete data", "delete bs data", "bs purge data"]);
  await setUp(api, ["delete network lab"]);
  expect(await all(api)).toEqual(["node-1"]);
});

test("the words of other tools work too, and resources in the plural", async () => {
  await using api = await openTestApi();
  await setUp(api, ["network create lab --ipv4_cidr 10.1.0.0/24", DISK, MACHINE]);
  await setUp(api, ["image create os", "vm stop web --hard", "vm start web"]);
  for (const line of [
    "vm list",
    "vm ls",
    "node list",
    "net ls",
    "get vms",
    "get virtual-machines",
  ]) {
    expect((await n0cli(api, line.split(" "))).exitCode, line).toBe(0);
  }
  for (const line of ["get networks", "get nets", "ls network", "list net", "network list"]) {
    expect((await n0cli(api, [...line.split(" "), "-o", "name"])).stdout, line).toBe("lab\n");
  }
  await setUp(api, [
    "vm rm web",
    "rm networks lab",
    "delete images os",
    "bs rm data",
    "bs purge data",
  ]);
  expect(await all(api)).toEqual(["node-1"]);
});

test.each([
  ["vm lst", "Did you mean list?", "n0cli vm --help"],
  ["vm shutdwn web", "Did you mean shutdown?", "n0cli vm --help"],
  ["get vmss", "Did you mean vm?", "n0cli get --help"],
  ["user key remov", "", "n0cli user key --help"],
  ["context unknown", "", "n0cli context --help"],
  ["netwrk list", "Did you mean network?", "n0cli --help"],
])("%s: the nearest word, and whose help says more", async (line, near, help) => {
  const { exitCode, stderr } = await n0cli(undefined, line.split(" "));
  expect(exitCode).toBe(2);
  expect(stderr).toContain(near);
  expect(stderr).toContain(`(see ${help})`);
});

test("fields may be written with dashes, maps with : or =, nics as JSON, and their lists entry by entry", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB]);
  const nics = '{"network_name": "lab"}';
  const size =
    "--request-cpu-milli-core 1 --limit-cpu-milli-core 1000 --request-memory-bytes 1GiB --limit_memory_bytes 1GiB";
  const argv = ["vm", "create", "x", ...size.split(" "), "--nics", nics];
  const { exitCode, stderr } = await n0cli(api, [
    ...argv,
    "--labels",
    "url:http://x/?a=b",
    "--labels=c=d:e",
  ]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(await api.world.virtualMachines.getVirtualMachine({ name: "x" })).toMatchObject({
    requestMemoryBytes: 1073741824n,
    labels: { url: "http://x/?a=b", c: "d:e" },
    nics: [{ networkName: "lab" }],
  });
  const more = "network_name=lab,secondary_addresses=ipv4,secondary_addresses=ipv4";
  expect((await n0cli(api, ["vm", "attach-nic", "x", "--nic", more])).exitCode).toBe(0);
  const { nics: two } = await api.world.virtualMachines.getVirtualMachine({ name: "x" });
  expect(two[1]?.secondaryAddresses).toHaveLength(2);
});

test.each([
  ["--request_memory_bytes 1G", /^--request_memory_bytes: .*GiB or GB/],
  ["--limit_cpu_milli_core -1", /^--limit_cpu_milli_core: must be a whole number from 0 to/],
  ["--labels x", /^--labels: "x" is not a pair: write key=value/],
  ["--nics netwrk_name=a", /^--nics: .*no field "netwrk_name" \(did you mean "network_name"\?\)/],
  ["--nics {", /^--nics: is not JSON/],
  ["--uuid a --uuid b", /^--uuid: is given 2 times/],
])("vm create %s is refused without a call", async (flags, message) => {
  const api = idle;
  const { exitCode, stderr } = await n0cli(api, ["vm", "create", "x", ...flags.split(" ")]);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
  expect(api.calls).toEqual([]);
});

test("a list in each format", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB, DISK, MACHINE]);
  const get = async (...words: string[]) => (await n0cli(api, ["get", ...words])).stdout;
  expect(await get("vm", "-o", "table")).toBe(
    "NAME   STATE     LABELS   REQUEST CPU   LIMIT CPU   REQUEST MEMORY   NODE     ADDRESSES\n" +
      "web    RUNNING            0.1           1           512MiB           node-1   10.1.0.9\n",
  );
  expect(await get("vm", "-o", "wide")).toMatch(/LIMIT MEMORY .* BLOCK STORAGE NAMES/);
  expect(await get("bs", "-o", "name")).toBe("data\n");
  expect(JSON.parse(await get("bs"))).toMatchObject({
    block_storages: [
      { name: "data", request_bytes: "1073741824", state: "IN_USE", used_by: "web" },
    ],
  });
  expect(await get("bs")).toMatch(/^{\n {2}"block_storages": \[\n/);
  expect(JSON.parse(await get("net", "-o", "jsonl"))).toMatchObject({ name: "lab" });
  expect(parse(await get("net", "lab", "-o", "yaml"))).toMatchObject({ ipv4_cidr: "10.1.0.0/24" });
  expect(await get("image")).toBe("{}\n");
});

test("a long list is asked for in pages and printed as one", async () => {
  await using api = await openTestApi();
  const allNames = Array.from({ length: 1200 }, (_, i) => `n${String(i).padStart(4, "0")}`);
  // As many at once as the API admits.
  for (const some of [allNames.slice(0, 600), allNames.slice(600)]) {
    await Promise.all(some.map((name) => api.world.users.createUser({ name })));
  }
  const names = (await n0cli(api, ["get", "user", "-o", "name"])).stdout.trim().split("\n");
  expect(names).toEqual(allNames);
  expect(api.calls).toHaveLength(2);
  const paged = await n0cli(api, ["user", "get", "--page_size", "2", "--name_prefix", "n001"]);
  expect(JSON.parse(paged.stdout)).toMatchObject({
    users: [{ name: "n0010" }, { name: "n0011" }],
    next_page_token: expect.stringMatching(/./),
  });
});

test("on a terminal a list is a table, and an empty one says so on stderr", async () => {
  await using api = await openTestApi();
  const empty = await n0cli(api, ["get", "vm"], { isTerminal: true });
  expect([empty.exitCode, empty.stdout, empty.stderr]).toEqual([
    0,
    "",
    "There is no virtual_machine yet.\n",
  ]);
  await setUp(api, [LAB]);
  expect((await n0cli(api, ["get", "net"], { isTerminal: true })).stdout).toMatch(/^NAME +STATE/);
});

test.each([
  ["get bs -l stage=live", "No block_storage matches --label_selector stage=live."],
  [
    "vm get --label-selector a=b --label_selector c=d --name-prefix web",
    "No virtual_machine matches --name_prefix web --label_selector c=d --label_selector a=b.",
  ],
  ["net ls --page_size 3", "There is no network yet."],
  ["get user --page_size 3 --name_prefix z", "No user matches --name_prefix z."],
])("%s of nothing: %s", async (line, said) => {
  const { stdout, stderr } = await n0cli(idle, line.split(" "), { isTerminal: true });
  expect([stdout, stderr]).toEqual(["", `${said}\n`]);
});

test("get and delete know every kind, whatever stands before it", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB]);
  for (const line of ["get net lab", "-o name get networks lab", "ls --timeout 9s network"]) {
    expect((await n0cli(api, [...line.split(" "), "-o", "name"])).stdout, line).toBe("lab\n");
  }
  for (const line of ["get net --help", "get help net"]) {
    const { stdout } = await n0cli(api, line.split(" "));
    expect(stdout, line).toContain("-l, --label_selector <key=value>");
  }
  for (const word of ["get", "delete"]) {
    const { stdout } = await n0cli(api, [word, "--help"]);
    for (const name of ["node", "network|net", "block_storage|bs", "virtual_machine|vm", "user"]) {
      expect(stdout).toContain(name);
    }
  }
  expect((await n0cli(api, ["delete", "network", "lab"])).exitCode).toBe(0);
});

test("images: register with --apply-image, tag, generate, untag, unregister", async () => {
  await using api = await openTestApi();
  await setUp(api, [DISK, "image register os data --apply-image --tags latest 18.04"]);
  const { images, blockStorages } = api.world;
  const { tags } = await images.getImage({ name: "os" });
  expect(tags).toEqual({ latest: "data", "18.04": "data" });
  const size = "--request_bytes 1GiB --limit_bytes 10GiB";
  await setUp(api, ["image tag os:new data", `image generate os copy --tag new ${size}`]);
  const { limitBytes } = await blockStorages.getBlockStorage({ name: "copy" });
  expect(limitBytes).toBe(10n << 30n);
  await setUp(api, ["image untag os:new", "image unregister os data", "image delete os"]);
  expect(await all(api)).toEqual(["node-1", "copy", "data"]);
});

test("users and their keys", async () => {
  await using api = await openTestApi();
  await setUp(api, ["user create alice"]);
  const key = ["user", "key", "add", "alice", "laptop", "--file", "-"];
  expect((await n0cli(api, key, { stdin: [`${SSH_KEY}\n`] })).exitCode).toBe(0);
  const { sshPublicKeys } = await api.world.users.getUser({ name: "alice" });
  expect(sshPublicKeys).toEqual({ laptop: SSH_KEY });
  await setUp(api, ["user delete_ssh_public_key alice laptop", "delete user alice"]);
});

test.each([
  [Code.NotFound, 5, "NotFound"],
  [Code.AlreadyExists, 6, "AlreadyExists"],
  [Code.FailedPrecondition, 6, "FailedPrecondition"],
  [Code.ResourceExhausted, 7, "ResourceExhausted"],
  [Code.PermissionDenied, 4, "PermissionDenied"],
  [Code.Unauthenticated, 4, "Unauthenticated"],
  [Code.InvalidArgument, 2, "InvalidArgument"],
  [Code.DeadlineExceeded, 8, "DeadlineExceeded"],
  [Code.Unavailable, 1, "Unavailable"],
  [Code.Internal, 1, "Internal"],
])("code %d exits with %d and [%s]", async (code, exitCode, name) => {
  const api = idle;
  api.before = () => {
    throw new ConnectError("words of the server", code);
  };
  const result = await n0cli(api, DISK.split(" "));
  expect(result.exitCode).toBe(exitCode);
  expect(result.stdout).toBe("");
  expect(result.stderr.split("\n")[0]).toBe(`[${name}] words of the server`);
});

test.each([
  [Code.DeadlineExceeded, "done", 1, "The transaction is unwound: everything is as it was before."],
  [
    Code.DeadlineExceeded,
    "going_on",
    1,
    "The server is unwinding the transaction; you need do nothing.",
  ],
  [Code.NotFound, "done", 5, "The transaction is unwound: everything is as it was before."],
  [
    Code.Internal,
    "needs_operator",
    9,
    "The transaction is neither committed nor unwound: an operator must look",
  ],
])(
  "code %d with rollback %s exits with %d, and the transaction is named",
  async (code, rollback, exit, line) => {
    const api = idle;
    const metadata = { transaction_id: "t-1", rollback };
    const info = { reason: "some", domain: "n0stack", metadata };
    api.before = () => {
      throw new ConnectError("no", code, undefined, [{ desc: ErrorInfoSchema, value: info }]);
    };
    const { exitCode, stderr } = await n0cli(api, DISK.split(" "));
    expect(exitCode).toBe(exit);
    expect(stderr).toContain(`transaction: t-1\n${line}`);
    expect(stderr).not.toContain("may still be running");
    if (exit === 9) expect(stderr).toContain("look at it. See n0cli tx show t-1\n");
  },
);

test("the transaction is also read from the header", async () => {
  const api = idle;
  api.before = () => {
    throw new ConnectError("no", Code.Aborted, { "n0-transaction-id": "t-2" });
  };
  expect((await n0cli(api, DISK.split(" "))).stderr).toContain("transaction: t-2\n");
});

test("an interrupt cancels the call and says what that means", async () => {
  const api = idle;
  const t = newTestIo({ transport: api.transport });
  api.before = async () => {
    t.interrupt();
    await new Promise(setImmediate);
  };
  expect(await run(DISK.split(" "), t.io)).toBe(130);
  expect(t.stderr()).toMatch(
    /^Cancelled: unless the transaction was committed already, the server unwinds/,
  );
});

test("changes carry an idempotency key, reads do not", async () => {
  await using api = await openTestApi();
  await setUp(api, [DISK, "get bs data"]);
  const [made, read] = api.calls.map((c) => c.header.get("idempotency-key"));
  expect(made).toMatch(/^[0-9a-f-]{36}$/);
  expect(read).toBeNull();
});

test("--watch prints what is there, then each change, until an interrupt", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB]);
  const t = newTestIo({ transport: api.transport });
  const running = run(["get", "net", "--watch", "-o", "table"], t.io);
  const until = async (text: string) => {
    const deadline = Date.now() + 20_000;
    while (!t.stdout().includes(text) && Date.now() < deadline) await new Promise(setImmediate);
    expect(t.stdout()).toContain(text);
  };
  await until("lab ");
  await setUp(api, ["net apply new --ipv4_cidr 10.2.0.0/24"]);
  await until("10.2.0.0/24");
  await setUp(api, ["delete net lab"]);
  await until("(deleted)");
  t.interrupt();
  expect(await running).toBe(130);
  expect(t.stderr()).toBe("Detached; nothing was changed.\n");
});

test("api call reaches any RPC, by short and by full name", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB]);
  const call = (...words: string[]) => n0cli(api, ["api", "call", ...words]);
  const got = await call("NetworkService/GetNetwork", '{"name": "lab"}');
  expect(JSON.parse(got.stdout)).toMatchObject({ name: "lab" });
  const listed = await call("n0stack.pool.v0.NetworkService/ListNetworks");
  expect(JSON.parse(listed.stdout)).toMatchObject({ networks: [{ name: "lab" }] });
  const piped = await n0cli(api, ["api", "call", "NetworkService/GetNetwork", "-"], {
    stdin: ['{"name":', '"lab"}'],
  });
  expect(JSON.parse(piped.stdout)).toMatchObject({ name: "lab" });
  expect(await call("NetworkService/GetNetwork", "{")).toMatchObject({ exitCode: 2 });
  expect(await call("NetworkService/GetNetwork", '{"nam": 1}')).toMatchObject({ exitCode: 2 });
  expect(await call("NetworkServic/GetNetwork")).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('did you mean "NetworkService"?'),
  });
  expect((await n0cli(api, ["api", "list"])).stdout).toContain(
    "n0stack.provisioning.v0.VirtualMachineService/CreateVirtualMachine\n",
  );
});

test("completion: commands, flags, choices and the names that the API knows", async () => {
  await using api = await openTestApi();
  await setUp(api, [LAB, DISK, MACHINE]);
  const complete = async (...words: string[]) =>
    (await n0cli(api, ["__complete", ...words])).stdout
      .split("\n")
      .map((line) => line.split("\t")[0])
      .filter((word) => word !== "");
  expect(await complete("v")).toEqual(["virtual_machine", "verify", "version"]);
  expect(await complete("vm", "re")).toEqual(["reboot"]);
  expect(await complete("vm", "boot", "")).toEqual(["web"]);
  expect(await complete("get", "bs", "d")).toEqual(["data"]);
  expect(await complete("vm", "create", "x", "--request_m")).toEqual(["--request_memory_bytes"]);
  expect(await complete("get", "vm", "-o", "j")).toEqual(["json", "jsonl"]);
  expect(await complete("completion", "")).toEqual(["bash", "zsh", "fish"]);
  expect(await complete("do", "")).toEqual([]);
});

test("version tells its own where no server answers", async () => {
  const { exitCode, stdout } = await n0cli(idle, ["version"]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ client: expect.stringMatching(/^\d/) });
});
