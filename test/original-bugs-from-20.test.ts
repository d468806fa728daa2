// As original-bugs.test.ts, from number 20.
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { openApi } from "../src/api/api.ts";
import { memoryDatastore } from "../src/datastore/memory/memory-datastore.ts";
import { blankQcow2 } from "../src/driver/volume/image/blank-qcow2.ts";
import { NetworkService } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../src/gen/n0stack/pool/v0/node_pb.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { serverInterceptors } from "../src/rpc/interceptors.ts";
import { localTransport } from "../src/rpc/local-transport.ts";
import { systemClock } from "../src/util/clock.ts";
import { N0Error } from "../src/util/errors.ts";
import { silentLog } from "../src/util/log.ts";
import { untilAborted } from "../src/util/race.ts";
import { systemRandom } from "../src/util/random.ts";
import { until } from "../src/util/until.ts";
import { refused } from "./refused.ts";
import { GiB, MiB, prepareImage, REQUEST_NODE, webRequest } from "./scenario.ts";
import { newShiftingClock } from "./shifting-clock.ts";
import { usedMs } from "./used-time.ts";
import { newWorld } from "./world.ts";

const size = { requestBytes: GiB, limitBytes: GiB };
const sourceUrl = "https://images.example/disk";

test("20: a disk on another node was looked for, or a stale file of its name attached", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  for (const [name, node] of [
    ["near", "node-1"],
    ["far", "node-2"],
  ] as const) {
    const annotations = { [REQUEST_NODE]: node };
    await world.blockStorages.createBlockStorage({ name, ...size, annotations });
  }
  const before = await world.residue();
  const apart = { ...webRequest("web", ["near", "far"]), nics: [] };
  expect((await refused(world.virtualMachines.createVirtualMachine(apart))).code).toBe(
    "FailedPrecondition",
  );
  expect(await world.residue()).toEqual(before);
  const together = { ...webRequest("web", ["far"]), nics: [] };
  const made = await world.virtualMachines.createVirtualMachine(together);
  expect(made.computeNodeName).toBe("node-2");
});

test("22: limits of 0 passed and failed late on the node", async () => {
  await using world = await newWorld();
  const vm = { ...webRequest("web", []), nics: [], limitCpuMilliCore: 0, limitMemoryBytes: 0n };
  const made = await world.virtualMachines.createVirtualMachine(vm);
  expect(made.limitCpuMilliCore).toBe(1000 * Math.ceil(vm.requestCpuMilliCore / 1000));
  expect(made.limitMemoryBytes).toBe(vm.requestMemoryBytes);
  const disk = await world.blockStorages.createBlockStorage({ name: "d", requestBytes: GiB });
  expect(disk.limitBytes).toBe(GiB);
});

test("23: IPv6 in ipv4_cidr ran without end, a large network took minutes, a tiny one was a bug", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const apply = (ipv4Cidr: string) => world.networks.applyNetwork({ name: "net", ipv4Cidr });
  const beganMs = usedMs();
  for (const cidr of ["fd00::/8", "10.0.0.1/32", "10.0.0.0/31"]) {
    expect(await refused(apply(cidr))).toMatchObject({
      code: "InvalidArgument",
      field: "ipv4_cidr",
    });
  }
  await apply("10.0.0.0/8");
  await world.networks.reserveNetworkInterface({ networkName: "net", networkInterfaceName: "i" });
  expect(usedMs() - beganMs).toBeLessThan(2_000);
});

test("24: a nic for the default route became the network's gateway, with its address", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const annotations = { "n0core/provisioning/virtual_machine/is_gateway": "true" };
  const nics = [{ networkName: "net", annotations }];
  const made = await Promise.all(
    ["a", "b"].map((name) =>
      world.virtualMachines.createVirtualMachine({ ...webRequest(name, []), nics }),
    ),
  );
  const given = new Set(made.map((vm) => vm.nics[0]?.ipv4Address));
  expect(given).toEqual(new Set(["10.0.0.253", "10.0.0.252"]));
  const { seeds, network } = world.fakeNodes[0]!.snapshot();
  const gateways = Object.values(seeds).map((seed) => seed.nics[0]?.ipv4Gateway);
  expect(gateways).toEqual(["10.0.0.254", "10.0.0.254"]);
  expect(network.networks["net"]?.gateways).toEqual(["10.0.0.254/24"]);
});

test("25: names reached keys and paths as they were", async () => {
  await using world = await newWorld();
  await world.users.createUser({ name: "ann" });
  const before = await world.residue();
  for (const name of ["../user/ann", "..", "", "a,b", "x".repeat(108)]) {
    expect((await refused(world.images.applyImage({ name }))).code).toBe("InvalidArgument");
    expect((await refused(world.blockStorages.createBlockStorage({ name, ...size }))).code).toBe(
      "InvalidArgument",
    );
  }
  expect(await world.residue()).toEqual(before);
});

test("26: a machine that powered off was shown as running for ever", async () => {
  await using world = await newWorld();
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics: [] });
  world.fakeNodes[0]!.drivers.compute.powerOff("web");
  const seen = async () => (await world.virtualMachines.getVirtualMachine({ name: "web" })).state;
  await until(async () => (await seen()) === State.SHUTDOWN);
});

test("27: a node was READY for ever, dead or alive", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ clock });
  world.fakeNodes[0]!.isDown = true;
  clock.shiftMs(15_001);
  expect((await world.nodes.getNode({ name: "node-1" })).state).toBe(2);
  const make = world.blockStorages.createBlockStorage({
    name: "d",
    ...size,
    annotations: { [REQUEST_NODE]: "node-1" },
  });
  expect((await refused(make)).code).toBe("Unavailable");
  await world.nodes.heartbeatNode({ name: "node-1" });
  expect((await world.nodes.getNode({ name: "node-1" })).state).toBe(1);
});

test("28: sums of processors overflowed, and memory was promised that was not there", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const most = 2 ** 32 - 1;
  const capacity = { cpuMilliCores: most, memoryBytes: 4n * GiB, storageBytes: GiB };
  await world.nodes.applyNode({ name: "n", address: "node-1:20181", ...capacity });
  const compute = { nodeName: "n", requestCpuMilliCore: most, requestMemoryBytes: GiB };
  await world.nodes.reserveCompute({ ...compute, computeName: "a" });
  const second = world.nodes.reserveCompute({ ...compute, computeName: "b" });
  expect((await refused(second)).code).toBe("ResourceExhausted");
  const vm = { ...webRequest("web", []), nics: [], requestMemoryBytes: 1n };
  expect(await refused(world.virtualMachines.createVirtualMachine(vm))).toMatchObject({
    code: "InvalidArgument",
    field: "request_memory_bytes",
  });
});

test("29: a percent sign in what was asked for garbled the answer", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const ipv4Cidr = "10.0.0.0/%d%s%!v";
  const refusal = await refused(world.networks.applyNetwork({ name: "net", ipv4Cidr }));
  expect(refusal.message).toContain(`"${ipv4Cidr}"`);
});

test("30: each reservation wrote its node and its network anew, with all others in them", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/16" });
  const before = (await world.residue()).records;
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      world.virtualMachines.createVirtualMachine(webRequest(`vm-${i}`, [])),
    ),
  );
  const after = (await world.residue()).records;
  for (const key of ["node//node-1", "network/default/net"]) expect(after[key]).toBe(before[key]);
});

test("31: two API processes on one database would have granted the same things twice", async () => {
  const datastore = memoryDatastore();
  const open = () =>
    openApi({
      datastore,
      agentTransport: () => {
        throw new N0Error("unavailable", "there are no agents here");
      },
      links: { consoleUrl: async () => "", downloadUrl: async () => "" },
      nameservers: [],
      openTransactionsMax: 100,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
  await using first = await open();
  await using second = await open();
  const clients = [first, second].map(({ routes }) => {
    const transport = localTransport(routes, { interceptors: serverInterceptors(silentLog) });
    return {
      nodes: createClient(NodeService, transport),
      networks: createClient(NetworkService, transport),
    };
  });
  const capacity = { cpuMilliCores: 10_000, memoryBytes: GiB, storageBytes: GiB };
  await clients[0]!.nodes.applyNode({ name: "n", address: "n:1", ...capacity });
  await clients[0]!.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const computes = await Promise.allSettled(
    Array.from({ length: 40 }, (_, i) =>
      clients[i % 2]!.nodes.reserveCompute({
        nodeName: "n",
        computeName: `c${i}`,
        requestCpuMilliCore: 1_000,
        requestMemoryBytes: 1n,
      }),
    ),
  );
  expect(computes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
  const same = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) =>
      clients[i % 2]!.networks.reserveNetworkInterface({
        networkName: "net",
        networkInterfaceName: `i${i}`,
        ipv4Address: "10.0.0.7",
      }),
    ),
  );
  expect(same.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("32: of many requests for one record the unlucky ones were refused", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  const tags = Array.from({ length: 200 }, (_, i) => `tag-${i}`);
  const tagging = { name: "debian", registeredBlockStorageName: "base" };
  await Promise.all(tags.map((tag) => world.images.tagImage({ ...tagging, tag })));
  expect(Object.keys((await world.images.getImage({ name: "debian" })).tags)).toHaveLength(201);
});

test("33: a disk without annotations crashed the handler", async () => {
  await using world = await newWorld();
  const made = await world.blockStorages.createBlockStorage({ name: "d", ...size });
  expect(made.state).toBe(DiskState.AVAILABLE);
});

test("34: a long fetch showed nothing, and went on when nobody wanted it any more", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.sources.set(sourceUrl, blankQcow2(64n * MiB));
  let aborted = 0;
  volume.after = async ({ method, signal }) => {
    if (method === "ensureFetched") await untilAborted(signal).finally(() => aborted++);
  };
  const client = new AbortController();
  const call = { signal: client.signal };
  const fetching = refused(
    world.blockStorages.fetchBlockStorage({ name: "d", ...size, sourceUrl }, call),
  );
  const seen = () => world.blockStorages.getBlockStorage({ name: "d" });
  await until(async () => (await seen().catch(() => undefined))?.progressDoneBytes !== undefined);
  await until(async () => (await seen()).progressDoneBytes > 0n);
  client.abort();
  await fetching;
  await until(() => world.opened.api.engine.openCount === 0);
  expect(aborted).toBe(1);
  expect(await world.residue()).toEqual(before);
});
