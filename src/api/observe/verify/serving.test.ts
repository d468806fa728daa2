// Verify while everything is being made and removed: whatever it says then is a false alarm.
import type { Transport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { GiB, webRequest } from "../../../../test/scenario.ts";
import { fillWorld, findingsIn, linesOf } from "../../../../test/verify-world.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { SurveyAgentService } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";

const WORKERS = 8;

/** Nodes take their time, so that a look comes in between. */
function slowDown(world: World): void {
  let count = 0;
  const pause = async () => {
    const turns = (count++ * 7) % 5;
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  for (const { drivers } of world.fakeNodes) {
    drivers.network.before = pause;
    drivers.network.after = pause;
    drivers.volume.before = pause;
    drivers.volume.after = pause;
    drivers.seed.before = pause;
  }
}

/** Has agents say what they have in pages, so that much happens between two. Counts all but the first ones. */
function pageBy(world: World, pageSize: number) {
  const further = { count: 0 };
  for (const { transport } of world.fakeNodes) {
    const { unary } = transport;
    const paged: Transport["unary"] = (method, signal, timeoutMs, header, input, values) => {
      const isSurvey = method.name === SurveyAgentService.method.survey.name;
      const asked = isSurvey ? Object.assign({}, input, { pageSize }) : input;
      if ("pageToken" in input && input.pageToken !== "") further.count += 1;
      return unary(method, signal, timeoutMs, header, asked, values);
    };
    Object.assign(transport, { unary: paged });
  }
  return further;
}

/** The whole life of a machine with a disk of an image, again and again, under the same names. */
async function work(world: World, index: number, isOver: () => boolean): Promise<number> {
  const { virtualMachines, blockStorages, images } = world;
  const name = `busy-${index}`;
  const size = { requestBytes: GiB, limitBytes: 2n * GiB };
  let lives = 0;
  for (; !isOver(); lives++) {
    const from = { imageName: "debian", tag: "12", blockStorageName: name, ...size };
    await images.generateBlockStorage(from);
    // Some fail half-way, and are undone.
    const made = await virtualMachines.createVirtualMachine(webRequest(name, [name])).then(
      () => true,
      () => false,
    );
    if (made) {
      await virtualMachines.shutdownVirtualMachine({ name, hard: true });
      await virtualMachines.bootVirtualMachine({ name });
      await virtualMachines.deleteVirtualMachine({ name });
    }
    await blockStorages.deleteBlockStorage({ name });
    await blockStorages.purgeBlockStorage({ name });
  }
  return lives;
}

test.each([
  { looks: 60, pageSize: 1_000 },
  { looks: 20, pageSize: 2 },
])("says nothing of what a transaction is at work on, however it looks: %j", async (how) => {
  await using world = await newWorld({ nodeCount: 2 });
  await fillWorld(world);
  slowDown(world);
  const further = pageBy(world, how.pageSize);
  let starts = 0;
  world.faults = ({ point, step }) => {
    if (point !== "after_act" || step !== "domain.start_new") return;
    starts += 1;
    if (starts % 4 === 0) throw new Error("injected");
  };
  let isOver = false;
  const workers = Array.from({ length: WORKERS }, (_, i) => work(world, i, () => isOver));
  const alarms: string[] = [];
  for (let i = 0; i < how.looks; i++) alarms.push(...linesOf(await findingsIn(world)));
  isOver = true;
  const lives = await Promise.all(workers);
  expect(alarms).toEqual([]);
  expect(Math.min(...lives)).toBeGreaterThan(1);
  expect(further.count > 0).toBe(how.pageSize === 2);
  await world.opened.api.engine.settled();
  expect(linesOf(await findingsIn(world))).toEqual([]);
});

test("still finds what is wrong beside all that is being made", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await fillWorld(world);
  slowDown(world);
  let isOver = false;
  const workers = Array.from({ length: WORKERS }, (_, i) => work(world, i, () => isOver));
  world.fakeNodes[0]!.drivers.compute.forget("web");
  const found = linesOf(await findingsIn(world));
  isOver = true;
  await Promise.all(workers);
  expect(found.map((line) => line.split(" ")[0])).toEqual(["vm.without_domain"]);
});

test("finds it also while the agent of its node registers anew", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await fillWorld(world);
  slowDown(world);
  world.fakeNodes[0]!.drivers.compute.forget("web");
  const { nodes } = await world.nodes.listNodes({});
  const { $typeName: _, ...node } = nodes.find(({ name }) => name === "node-1")!;
  let isOver = false;
  const registering = (async () => {
    while (!isOver) await world.nodes.applyNode(node);
  })();
  const found: string[] = [];
  for (let i = 0; i < 10; i++) found.push(...linesOf(await findingsIn(world)));
  isOver = true;
  await registering;
  expect(found.map((line) => line.split(" ")[0])).toEqual(Array(10).fill("vm.without_domain"));
});
