import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts";
import { NetworkSchema } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import { run } from "./program.ts";
import type { FakeApi } from "./testing/fake-api.ts";
import { newFakeApi } from "./testing/fake-api.ts";
import type { TestIoOptions } from "./testing/test-io.ts";
import { newTestIo } from "./testing/test-io.ts";

async function n0cli(api: FakeApi | undefined, argv: string[], more: TestIoOptions = {}) {
  const t = newTestIo({ ...(api === undefined ? {} : { transport: api.transport }), ...more });
  const exitCode = await run(argv, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), executed: t.executed };
}

/** Runs each line of words; all must succeed. */
async function setUp(api: FakeApi, lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const { exitCode, stderr } = await n0cli(api, line.split(" "));
    expect(`${line}: ${exitCode} ${exitCode === 0 ? "" : stderr}`).toBe(`${line}: 0 `);
  }
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

test("a machine's whole life", async () => {
  const api = newFakeApi();
  await setUp(api, [LAB, DISK, MACHINE]);
  expect(api.machines.get("web")).toMatchObject({
    requestMemoryBytes: 536870912n,
    blockStorageNames: ["data"],
    nics: [{ networkName: "lab", ipv4Address: "10.1.0.9" }],
  });
  await setUp(api, ["vm save web", "vm resume web", "vm shutdown web --hard", "vm boot web"]);
  await setUp(api, ["vm update web --labels a=b=c --labels d:e", "vm reboot web", "vm delete web"]);
  await setUp(api, ["bs delete data", "bs undelete data", "delete bs data", "bs purge data"]);
  await setUp(api, ["delete network lab"]);
  expect([api.machines.all(), api.disks.all(), api.networks.all()]).toEqual([[], [], []]);
});

test("the words of other tools work too, and resources in the plural", async () => {
  const api = newFakeApi();
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
  await setUp(api, ["vm rm web", "rm networks lab", "delete images os", "bs rm data"]);
  expect([api.machines.all(), api.networks.all(), api.images.all()]).toEqual([[], [], []]);
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

test("fields may be written with dashes, maps with : or =, and nics as JSON", async () => {
  const api = newFakeApi();
  await setUp(api, [LAB]);
  const nics = '{"network_name": "lab"}';
  const argv = ["vm", "create", "x", "--request-memory-bytes", "1GiB", "--nics", nics];
  const { exitCode } = await n0cli(api, [
    ...argv,
    "--labels",
    "url:http://x/?a=b",
    "--labels=c=d:e",
  ]);
  expect(exitCode).toBe(0);
  expect(api.machines.get("x")).toMatchObject({
    requestMemoryBytes: 1073741824n,
    labels: { url: "http://x/?a=b", c: "d:e" },
    nics: [{ networkName: "lab" }],
  });
});

test.each([
  ["--request_memory_bytes 1G", /^--request_memory_bytes: .*GiB or GB/],
  ["--limit_cpu_milli_core -1", /^--limit_cpu_milli_core: must be a whole number from 0 to/],
  ["--labels x", /^--labels: "x" is no pair; write key=value/],
  ["--nics netwrk_name=a", /^--nics: .*no field "netwrk_name" \(did you mean "network_name"\?\)/],
  ["--nics {", /^--nics: is no JSON/],
  ["--uuid a --uuid b", /^--uuid: is there 2 times/],
])("vm create %s is refused without a call", async (flags, message) => {
  const api = newFakeApi();
  const { exitCode, stderr } = await n0cli(api, ["vm", "create", "x", ...flags.split(" ")]);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
  expect(api.calls).toEqual([]);
});

test("a list in each format", async () => {
  const api = newFakeApi();
  await setUp(api, [LAB, DISK, MACHINE]);
  const get = async (...words: string[]) => (await n0cli(api, ["get", ...words])).stdout;
  expect(await get("vm", "-o", "table")).toBe(
    "NAME   STATE     LABELS   REQUEST CPU   LIMIT CPU   REQUEST MEMORY   NODE   ADDRESSES\n" +
      "web    RUNNING            0.1           1           512MiB           n1     10.1.0.9\n",
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
  expect(await get("node")).toBe("{}\n");
});

test("a long list is asked for in pages and printed as one", async () => {
  const api = newFakeApi();
  for (let i = 0; i < 2500; i += 1) {
    api.networks.put(create(NetworkSchema, { name: `n${String(i).padStart(4, "0")}` }));
  }
  const names = (await n0cli(api, ["get", "network", "-o", "name"])).stdout.trim().split("\n");
  expect(names).toHaveLength(2500);
  expect(api.calls).toHaveLength(3);
  const paged = await n0cli(api, ["net", "get", "--page_size", "2", "--name_prefix", "n001"]);
  expect(JSON.parse(paged.stdout)).toMatchObject({
    networks: [{ name: "n0010" }, { name: "n0011" }],
    next_page_token: "n0011",
  });
});

test("on a terminal a list is a table, and an empty one says so on stderr", async () => {
  const api = newFakeApi();
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
  ["get user --page_size 3 --page_token z", "No user matches --page_token z."],
])("%s of nothing: %s", async (line, said) => {
  const { stdout, stderr } = await n0cli(newFakeApi(), line.split(" "), { isTerminal: true });
  expect([stdout, stderr]).toEqual(["", `${said}\n`]);
});

test("get and delete know every kind, whatever stands before it", async () => {
  const api = newFakeApi();
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
  const api = newFakeApi();
  await setUp(api, [DISK, "image register os data --apply-image --tags latest 18.04"]);
  expect(api.images.get("os").tags).toEqual({ latest: "data", "18.04": "data" });
  const size = "--request_bytes 1GiB --limit_bytes 10GiB";
  await setUp(api, ["image tag os:new data", `image generate os copy --tag new ${size}`]);
  expect(api.disks.get("copy").limitBytes).toBe(10n << 30n);
  await setUp(api, ["image untag os:new", "image unregister os data", "image delete os"]);
  expect(api.images.all()).toEqual([]);
});

test("users and their keys", async () => {
  const api = newFakeApi();
  await setUp(api, ["user create alice"]);
  const key = ["user", "key", "add", "alice", "laptop", "--file", "-"];
  expect((await n0cli(api, key, { stdin: ["ssh-ed25519 AAAA a\n"] })).exitCode).toBe(0);
  expect(api.users.get("alice").sshPublicKeys).toEqual({ laptop: "ssh-ed25519 AAAA a" });
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
  const api = newFakeApi();
  api.before = () => {
    throw new ConnectError("words of the server", code);
  };
  const result = await n0cli(api, DISK.split(" "));
  expect(result.exitCode).toBe(exitCode);
  expect(result.stdout).toBe("");
  expect(result.stderr.split("\n")[0]).toBe(`[${name}] words of the server`);
});

test.each([
  [Code.DeadlineExceeded, "done", 1, "What it had begun is undone: all is as it was before."],
  [
    Code.DeadlineExceeded,
    "going_on",
    1,
    "What it had begun is being undone; nothing must be done.",
  ],
  [Code.NotFound, "done", 5, "What it had begun is undone: all is as it was before."],
  [
    Code.Internal,
    "needs_operator",
    9,
    "It is neither done nor undone until an operator has looked",
  ],
])(
  "code %d with rollback %s exits with %d, and the transaction is named",
  async (code, rollback, exit, line) => {
    const api = newFakeApi();
    const metadata = { transaction_id: "t-1", rollback };
    const info = { reason: "some", domain: "n0stack", metadata };
    api.before = () => {
      throw new ConnectError("no", code, undefined, [{ desc: ErrorInfoSchema, value: info }]);
    };
    const { exitCode, stderr } = await n0cli(api, DISK.split(" "));
    expect(exitCode).toBe(exit);
    expect(stderr).toContain(`transaction: t-1\n${line}`);
    expect(stderr).not.toContain("may still be running");
    if (exit === 9) expect(stderr).toContain("looked at it. See n0cli tx show t-1\n");
  },
);

test("the transaction is also read from the header", async () => {
  const api = newFakeApi();
  api.before = () => {
    throw new ConnectError("no", Code.Aborted, { "n0-transaction-id": "t-2" });
  };
  expect((await n0cli(api, DISK.split(" "))).stderr).toContain("transaction: t-2\n");
});

test("an interrupt cancels the call and says what that means", async () => {
  const api = newFakeApi();
  const t = newTestIo({ transport: api.transport });
  api.before = async () => {
    t.interrupt();
    await new Promise(setImmediate);
  };
  expect(await run(DISK.split(" "), t.io)).toBe(130);
  expect(t.stderr()).toMatch(/^Cancelled: unless it was done already, the server undoes/);
});

test("changes carry an idempotency key, reads do not", async () => {
  const api = newFakeApi();
  await setUp(api, [DISK, "get bs data"]);
  const [made, read] = api.calls.map((c) => c.header.get("idempotency-key"));
  expect(made).toMatch(/^[0-9a-f-]{36}$/);
  expect(read).toBeNull();
});

test("--watch prints what is there, then each change, until an interrupt", async () => {
  const api = newFakeApi();
  await setUp(api, [LAB]);
  const t = newTestIo({ transport: api.transport });
  const running = run(["get", "net", "--watch", "-o", "table"], t.io);
  const until = async (text: string) => {
    const deadline = Date.now() + 5000;
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
  const api = newFakeApi();
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
  const api = newFakeApi();
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
  const { exitCode, stdout } = await n0cli(newFakeApi(), ["version"]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ client: expect.stringMatching(/^\d/) });
});
