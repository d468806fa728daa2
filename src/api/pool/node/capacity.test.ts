import { expect, test } from "vitest";
import { GiB, MiB } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";

const CAPACITY = { cpuMilliCores: 50_000, memoryBytes: 64n * GiB, storageBytes: 64n * GiB };

async function totals(world: World, name: string) {
  const { reservedComputes, reservedStorages } = await world.nodes.getNode({ name });
  const computes = Object.values(reservedComputes);
  return {
    computes: computes.length,
    cpuMilliCores: computes.reduce((sum, c) => sum + c.requestCpuMilliCore, 0),
    memoryBytes: computes.reduce((sum, c) => sum + c.requestMemoryBytes, 0n),
    storageBytes: Object.values(reservedStorages).reduce((sum, s) => sum + s.requestBytes, 0n),
  };
}

test("200 reservations at once never exceed the node, and fill it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.nodes.applyNode({ name: "n", address: "node-1:20181", ...CAPACITY });
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, (_, i) =>
      world.nodes.reserveCompute({
        nodeName: "n",
        computeName: `c${i}`,
        requestCpuMilliCore: 500,
        requestMemoryBytes: 16n * MiB,
      }),
    ),
  );
  const granted = results.filter(({ status }) => status === "fulfilled");
  expect(granted).toHaveLength(100);
  expect(await totals(world, "n")).toMatchObject({ computes: 100, cpuMilliCores: 50_000 });

  // What is counted is what is reserved: nothing more fits, and after all are released everything does.
  const used = () => world.usedOn("n");
  expect(await used()).toMatchObject({ cpuMilliCores: 50_000n, memoryBytes: 1600n * MiB });
  const { reservedComputes } = await world.nodes.getNode({ name: "n" });
  await Promise.all(
    Object.keys(reservedComputes).map((computeName) =>
      world.nodes.releaseCompute({ nodeName: "n", computeName }),
    ),
  );
  expect(await used()).toMatchObject({ cpuMilliCores: 0n, memoryBytes: 0n, storageBytes: 0n });
  expect(await totals(world, "n")).toMatchObject({ computes: 0 });
});

test("disks made and refused at once on two nodes sum up to what is reserved", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  for (const name of ["node-1", "node-2"]) {
    await world.nodes.applyNode({ name, address: `${name}:20181`, ...CAPACITY });
  }
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, i) =>
      world.blockStorages.createBlockStorage({
        name: `d${i}`,
        requestBytes: 2n * GiB,
        limitBytes: 2n * GiB,
      }),
    ),
  );
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(64);
  for (const name of ["node-1", "node-2"]) {
    expect((await totals(world, name)).storageBytes).toBe(64n * GiB);
    expect((await world.usedOn(name)).storageBytes).toBe(64n * GiB);
  }
  expect(world.fakeNodes.flatMap((node) => node.snapshot().volumes)).toHaveLength(64);
});

test("the sums are the same after a restart", async () => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name: "d", requestBytes: GiB, limitBytes: GiB });
  await world.nodes.reserveCompute({
    nodeName: "node-1",
    computeName: "c",
    requestCpuMilliCore: 7,
    requestMemoryBytes: 9n,
  });
  const before = { ...(await world.usedOn("node-1")) };
  await world.restart();
  expect(await world.usedOn("node-1")).toMatchObject({
    cpuMilliCores: before.cpuMilliCores,
    memoryBytes: before.memoryBytes,
    storageBytes: before.storageBytes,
  });
});
