import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { FaultPlace, FaultPoint } from "../src/transaction/faults.ts";
import { until } from "../src/util/until.ts";
import { newProgram, type Program } from "./crash/program.ts";
import { bearToken, call, must, type Request } from "./crash/remote.ts";
import { run } from "./e2e/program.ts";
import { freePort } from "./free-port.ts";
import { type ServedNode, serveFakeNode } from "./served-node.ts";
import { newTokenFile } from "./token-file.ts";

const GiB = (1n << 30n).toString();
const KIND = "CreateVirtualMachine";
const HEARTBEAT_MS = 3_000;

const PREPARATION: readonly Request[] = [
  ["NetworkService/ApplyNetwork", { name: "net", ipv4Cidr: "10.0.0.0/24" }],
  ["BlockStorageService/CreateBlockStorage", { name: "root", requestBytes: GiB, limitBytes: GiB }],
];
const SIZE = { requestCpuMilliCore: 100, limitCpuMilliCore: 1000 };
const MEMORY = { requestMemoryBytes: GiB, limitMemoryBytes: GiB };
const WEB: Request = [
  `VirtualMachineService/${KIND}`,
  { name: "web", ...SIZE, ...MEMORY, blockStorageNames: ["root"], nics: [{ networkName: "net" }] },
];

const GONE: Request = ["VirtualMachineService/DeleteVirtualMachine", { name: "web" }];

/** A real API process, and a node with fake drivers in this one. */
interface Place extends AsyncDisposable {
  readonly api: Program;
  readonly endpoint: string;
  readonly tokenFile: string;
  readonly node: ServedNode;
  /** The moments that making the machine reaches. */
  readonly trace: readonly FaultPlace[];
  /** What the API does when it gets there. */
  plan(at: FaultPlace, action: "kill" | "hold"): void;
  /** True once it holds there. */
  isHeld(): boolean;
  /** Starts the API with nothing planned. */
  restart(): Promise<void>;
}

async function openPlace(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "n0-idempotency-"));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const faultFile = join(folder, "fault");
  const traceFile = join(folder, "trace");
  const port = String(await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  const { token, path: tokenFile } = newTokenFile(folder);
  bearToken(endpoint, token);
  const node = stack.use(await serveFakeNode("node-1", token));
  const args = ["api", "--bind-port", port, "--base-directory", folder];
  const env = { N0_FAULT_FILE: faultFile, N0_FAULT_TRACE: traceFile };
  const api = newProgram({ name: "api", folder, args, env });
  stack.defer(async () => {
    api.signal("SIGKILL");
    await api.ended();
  });
  expect(await api.start()).toBe(true);
  const capacity = { cpuMilliCores: 64_000, memoryBytes: GiB + "0", storageBytes: GiB + "0" };
  await must(endpoint, [
    "NodeService/ApplyNode",
    { name: "node-1", address: node.url, ...capacity },
  ]);
  const beat = () => call(endpoint, ["NodeService/HeartbeatNode", { name: "node-1" }]);
  const heart = setInterval(() => void beat().catch(() => undefined), HEARTBEAT_MS);
  stack.defer(() => clearInterval(heart));
  for (const request of [...PREPARATION, WEB, GONE]) await must(endpoint, request);
  const reached = readFileSync(traceFile, "utf8").trim().split("\n");
  const trace = reached.map((line) => JSON.parse(line) as FaultPlace);
  const parts = stack.move();
  return {
    api,
    endpoint,
    tokenFile,
    node,
    trace: trace.filter(({ kind }) => kind === KIND),
    plan(at, action) {
      rmSync(`${faultFile}.held`, { force: true });
      writeFileSync(faultFile, JSON.stringify({ ...at, action }));
    },
    isHeld: () => existsSync(`${faultFile}.held`),
    async restart() {
      rmSync(faultFile, { force: true });
      expect(await api.start()).toBe(true);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function expectOneMachine({ endpoint, node }: Place): Promise<void> {
  const { virtualMachines } = (await must(endpoint, [
    "VirtualMachineService/ListVirtualMachines",
    {},
  ])) as { virtualMachines: { name: string; state: string }[] };
  expect(virtualMachines).toMatchObject([{ name: "web", state: "RUNNING" }]);
  const { domains, folders } = node.drivers.compute.snapshot();
  expect(domains).toMatchObject([{ name: "web" }]);
  expect(folders).toEqual(["web"]);
}

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(() => place[Symbol.asyncDispose]());
afterEach(() => must(place.endpoint, GONE));

const PLACES: readonly (readonly [FaultPoint, string])[] = [
  ["before_begin", ""],
  ["after_begin", ""],
  ["after_act", "domain.start_new"],
  ["before_commit", ""],
  ["after_commit", ""],
];

describe.each(PLACES)("the API is killed at %s %s", (point, step) => {
  const at = () => {
    const found = place.trace.find((reached) => reached.point === point && reached.step === step);
    if (found === undefined) throw new Error(`${point} ${step} is never reached`);
    return found;
  };

  test("n0cli sends its request again, and there is one virtual machine", async () => {
    place.plan(at(), "kill");
    const flags = [
      ...["--request_cpu_milli_core", "100", "--limit_cpu_milli_core", "1000"],
      ...["--request_memory_bytes", "1GiB", "--limit_memory_bytes", "1GiB"],
      ...["--block_storage_names", "root", "--nics", "network_name=net"],
    ];
    const env = { N0CLI_API_ENDPOINT: place.endpoint, N0CLI_TOKEN_FILE: place.tokenFile };
    const answer = run("bin/n0cli", ["vm", "create", "web", ...flags, "-o", "json"], { env });
    await place.api.ended();
    await place.restart();
    const { code, stdout, stderr } = await answer;
    expect(stderr).toMatch(
      /^---> Trying again for up to 60 s: \[Unavailable\] connection lost \(.+\)\n$/,
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: "web", state: "RUNNING" });
    await expectOneMachine(place);
  });

  test("so may a client that has died as well, when it is back", async () => {
    place.plan(at(), "hold");
    const client = new AbortController();
    const key = { "idempotency-key": `written-down-${point}` };
    const answer = call(place.endpoint, WEB, client.signal, key).catch(() => undefined);
    await until(() => place.isHeld());
    client.abort();
    await answer;
    place.api.signal("SIGKILL");
    await place.api.ended();
    await place.restart();
    const answers = [];
    for (let i = 0; i < 3; i++) {
      answers.push(await call(place.endpoint, WEB, AbortSignal.timeout(20_000), key));
    }
    expect(answers[0]).toMatchObject({ isOk: true, body: { name: "web", state: "RUNNING" } });
    expect(answers).toEqual([answers[0], answers[0], answers[0]]);
    await expectOneMachine(place);
  });
});
