import { expect, test } from "vitest";
import { until } from "../../src/util/until.ts";
import { prepareDisk, webRequest } from "../../test/scenario.ts";
import { newWorld } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

test("get vm tells why one is paused that nobody paused, and has no such column else", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const getVm = async () => {
    const t = newTestIo({ transport: world.transport, isTerminal: true });
    expect(await run(["get", "vm"], t.io)).toBe(0);
    return t.stdout();
  };
  expect(await getVm()).not.toContain("REASON");
  world.fakeNodes[0]!.drivers.compute.setState("web", "out_of_space");
  await until(async () => (await getVm()).includes("PAUSED"));
  expect(await getVm()).toMatch(
    /^NAME +STATE .*REASON.*\nweb +PAUSED .*the node's disk was full when it wrote: free space there, then boot it/,
  );
});
