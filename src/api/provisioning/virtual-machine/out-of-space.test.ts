import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld } from "../../../../test/world.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { until } from "../../../util/until.ts";

const name = "web";

test("a guest whose node has a full disk is shown as paused, why and what to do, until it goes on", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  const { compute } = world.fakeNodes[0]!.drivers;
  const seen = async () => {
    const [listed] = (await world.virtualMachines.listVirtualMachines({})).virtualMachines;
    const { state, stateReason } = await world.virtualMachines.getVirtualMachine({ name });
    expect(listed).toMatchObject({ state, stateReason });
    return { state, stateReason };
  };
  expect(await seen()).toEqual({ state: State.RUNNING, stateReason: "" });

  compute.setState(name, "out_of_space");
  await until(async () => (await seen()).state === State.PAUSED);
  const stateReason = "the node's disk was full when it wrote: free space there, then boot it";
  expect(await seen()).toEqual({ state: State.PAUSED, stateReason });
  // It is as one that was paused: its disks are in use, and it cannot hear the power button.
  expect((await refused(world.virtualMachines.rebootVirtualMachine({ name }))).message).toContain(
    "boot it first",
  );
  await world.virtualMachines.saveVirtualMachine({ name });
  expect(await seen()).toEqual({ state: State.PAUSED, stateReason });
  expect((await world.verify.verify({})).findings).toEqual([]);

  const booted = await world.virtualMachines.bootVirtualMachine({ name });
  expect(booted).toMatchObject({ state: State.RUNNING, stateReason: "" });
  expect(await seen()).toEqual({ state: State.RUNNING, stateReason: "" });
  // The reason is seen on the node, and never written down.
  compute.setState(name, "out_of_space");
  await until(async () => (await seen()).state === State.PAUSED);
  await world.virtualMachines.shutdownVirtualMachine({ name, hard: true });
  expect(await seen()).toEqual({ state: State.SHUTDOWN, stateReason: "" });
});
