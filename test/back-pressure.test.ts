import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { median, percentile, spread, timed } from "../bench/measurement.ts";
import { run } from "../cli/program.ts";
import { newTestIo } from "../cli/testing/test-io.ts";
import { openGrpcTransport } from "../cli/transport.ts";
import { transactionCollection } from "../src/datastore/datastore-journal.ts";
import { fromConnectError } from "../src/rpc/errors.ts";
import { listen } from "../src/rpc/listen.ts";
import { systemClock } from "../src/util/clock.ts";
import { silentLog } from "../src/util/log.ts";
import { GiB, MiB, webRequest } from "./scenario.ts";
import { newWorld, type World } from "./world.ts";

const PLACES = 10;
const TIMES = 10;
const MEMORY = 16n * MiB;

async function prepared(count: number): Promise<World> {
  const world = await newWorld({ openTransactionsMax: PLACES });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/16" });
  await spread(count, PLACES, (i) =>
    world.blockStorages.createBlockStorage({
      name: `vm-${i}`,
      requestBytes: MiB,
      limitBytes: GiB,
    }),
  );
  return world;
}

function machine(i: number) {
  return {
    ...webRequest(`vm-${i}`, [`vm-${i}`]),
    requestMemoryBytes: MEMORY,
    limitMemoryBytes: MEMORY,
  };
}

async function transactionsOf(kind: string, { opened }: World): Promise<number> {
  const headers = await opened.api.records.list(transactionCollection);
  return headers.filter(({ value }) => value.kind === kind).length;
}

test("at ten times what is admitted, that is as quick as ever, and the rest is told when to come again", async () => {
  const admittedCount = 4 * PLACES;
  const clients = PLACES * TIMES;
  await using world = await prepared(admittedCount + clients);
  const create = (i: number) => world.virtualMachines.createVirtualMachine(machine(i));
  const aloneMs = await spread(admittedCount, PLACES, create);

  const admittedMs: number[] = [];
  const refusedMs: number[] = [];
  const delaysMs: number[] = [];
  let open = 0;
  let openMost = 0;
  world.faults = ({ point, kind }) => {
    if (kind !== "CreateVirtualMachine") return;
    if (point === "after_begin") openMost = Math.max(openMost, ++open);
    if (point === "after_commit") open -= 1;
  };
  const persist = async (i: number): Promise<void> => {
    const startMs = performance.now();
    try {
      await create(i);
      admittedMs.push(performance.now() - startMs);
    } catch (reason) {
      refusedMs.push(performance.now() - startMs);
      expect(ConnectError.from(reason).code).toBe(Code.ResourceExhausted);
      const { retryAfterMs, transactionId } = fromConnectError(reason).facts;
      expect(transactionId).toBeUndefined();
      delaysMs.push(retryAfterMs ?? 0);
      await sleep(retryAfterMs);
      await persist(i);
    }
  };
  const totalMs = await timed(() =>
    Promise.all(Array.from({ length: clients }, (_, i) => persist(admittedCount + i))),
  );

  expect(admittedMs).toHaveLength(clients);
  expect(refusedMs.length).toBeGreaterThanOrEqual(clients - PLACES);
  expect(openMost).toBeLessThanOrEqual(PLACES);
  expect(Math.min(...delaysMs)).toBeGreaterThanOrEqual(200);
  // Nothing is written for what is refused: there is one transaction for each that was admitted.
  expect(await transactionsOf("CreateVirtualMachine", world)).toBe(admittedCount + clients);
  console.log(
    `alone p99 ${percentile(aloneMs, 0.99).toFixed(0)} ms; at ${TIMES} times admitted p99 ` +
      `${percentile(admittedMs, 0.99).toFixed(0)} ms, refused ${refusedMs.length} times in ` +
      `${median(refusedMs).toFixed(1)} ms each, told to wait ${Math.min(...delaysMs)} to ${Math.max(...delaysMs)} ms; all in ${totalMs.toFixed(0)} ms`,
  );
  // The medians: a disk that is slow for a moment holds up all that are open then.
  expect(median(admittedMs)).toBeLessThan(5 * median(aloneMs) + 250);
});

test("n0cli comes again until it is through", async () => {
  const tasks = 8 * PLACES;
  await using world = await prepared(tasks);
  const routes = world.opened.routes;
  const listener = await listen({ host: "127.0.0.1", port: 0, log: silentLog, routes });
  const file = Array.from(
    { length: tasks },
    (_, i) =>
      `t${i}: {type: virtual_machine, action: CreateVirtualMachine, args: {name: vm-${i}, ` +
      `request_cpu_milli_core: 10, limit_cpu_milli_core: 1000, request_memory_bytes: 16MiB, ` +
      `limit_memory_bytes: 16MiB, block_storage_names: [vm-${i}], nics: [{network_name: net}]}}\n`,
  ).join("");
  const env = { N0CLI_API_ENDPOINT: listener.url };
  const t = newTestIo({ env, stdin: [file] });
  const io = { ...t.io, clock: systemClock, openTransport: openGrpcTransport };
  const tookMs = await timed(async () => {
    const code = await run(["do", "-", "--parallel", String(tasks)], io);
    const failed = t
      .stderr()
      .split("\n")
      .filter((line) => line.includes("is failed"));
    expect([code, failed]).toEqual([0, []]);
  });
  await listener.stop(1_000);
  expect(t.stderr()).toMatch(/---> Waiting .* to try again: \[ResourceExhausted\] 10 transactions/);
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toHaveLength(tasks);
  expect(await transactionsOf("CreateVirtualMachine", world)).toBe(tasks);
  console.log(`${tasks} tasks at once on ${PLACES} places: ${tookMs.toFixed(0)} ms`);
});
