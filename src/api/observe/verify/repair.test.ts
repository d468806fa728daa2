import { expect, test } from "vitest";
import { vmRef } from "../../../../test/refs.ts";
import { refused } from "../../../../test/refused.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { driftOf } from "../../../../test/verify-cases.ts";
import { CODES } from "../../../../test/verify-codes.ts";
import {
  fillWorld,
  findingsIn,
  handsOn,
  linesOf,
  newVerifyWorld,
  repairIn,
} from "../../../../test/verify-world.ts";
import { newWorld } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { RepairOutcome } from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";

test("everything at once is repaired but what is for a person", async () => {
  await using world = await newVerifyWorld();
  const drifts = [
    "domain.without_vm",
    "domain.cpu_differs",
    "network.rules_broken",
    "tap.not_connected",
    "vm.seed_missing",
    "volume.without_record",
    "disk.used_by_nobody",
    "uuid.without_owner",
    "image.disk_missing",
  ] as const;
  const hands = handsOn(world);
  for (const code of drifts) await driftOf(code)(hands);
  await repairIn(world);
  const rest = await findingsIn(world);
  expect(rest.map(({ code }) => code)).toEqual(["image.disk_missing"]);
});

test("a node that is asked for alone is repaired alone", async () => {
  await using world = await newVerifyWorld();
  const { here, there } = handsOn(world);
  here.network.hands.nodeRules = "altered";
  there.network.hands.nodeRules = "altered";
  const { findings, nodes } = await world.verify.verify({ nodeNames: ["node-2"] });
  expect(findings.map(({ nodeName }) => nodeName)).toEqual(["node-2"]);
  expect(nodes.map(({ nodeName }) => nodeName)).toEqual(["node-2"]);
  for await (const _ of world.verify.repair({ nodeNames: ["node-2"] }));
  expect((await findingsIn(world)).map(({ nodeName }) => nodeName)).toEqual(["node-1"]);
});

test("a node that is lost is not asked, and is no finding", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 2, inMemory: true, clock });
  await fillWorld(world);
  world.fakeNodes[1]!.isDown = true;
  clock.shiftMs(60_000);
  await world.nodes.heartbeatNode({ name: "node-1" });
  await world.nodes.setNodeLost({ name: "node-2", lost: true });
  const { findings, nodes } = await world.verify.verify({});
  expect(linesOf(findings)).toEqual([]);
  expect(nodes.map(({ nodeName }) => nodeName)).toEqual(["node-1"]);
});

test("a node that does not exist is refused by name", async () => {
  await using world = await newVerifyWorld();
  expect(await refused(world.verify.verify({ nodeNames: ["node-7"] }))).toMatchObject({
    code: "NotFound",
  });
});

test("what somebody is at work on is told, and tried another time", async () => {
  await using world = await newVerifyWorld();
  const { api, here } = handsOn(world);
  here.compute.forget("web");
  const held = await api.locks.acquire([virtualMachines.key(vmRef("web"))], {
    action: "BootVirtualMachine",
  });
  const [answer] = await repairIn(world);
  expect(answer).toMatchObject({ outcome: RepairOutcome.FAILED });
  expect(answer?.error).toContain("busy with BootVirtualMachine");
  await held.release();
  expect((await repairIn(world)).map(({ outcome }) => outcome)).toEqual([RepairOutcome.REPAIRED]);
});

test("a machine whose domain was lost can be booted, and one that went off is SHUTDOWN", async () => {
  await using world = await newVerifyWorld();
  handsOn(world).here.compute.forget("web");
  await repairIn(world);
  expect((await world.virtualMachines.getVirtualMachine({ name: "web" })).state).toBe(
    State.SHUTDOWN,
  );
  const booted = await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(booted.state).toBe(State.RUNNING);
  expect(linesOf(await findingsIn(world))).toEqual([]);
});

test("a volume without a record is kept, and can be brought back or purged", async () => {
  await using world = await newVerifyWorld();
  await driftOf("volume.without_record")(handsOn(world));
  await repairIn(world);
  const disk = await world.blockStorages.undeleteBlockStorage({ name: "ghost" });
  expect(disk.state).toBe(DiskState.AVAILABLE);
  await world.blockStorages.purgeBlockStorage({ name: "root-0123456789ab" });
  expect(linesOf(await findingsIn(world))).toEqual([]);
});

test("a nic in another PCI slot than its record is found, and put back", async () => {
  await using world = await newVerifyWorld();
  handsOn(world).here.compute.alter("cold", (info) => ({
    ...info,
    nics: info.nics.map((nic) => ({ ...nic, pciSlot: 9 })),
  }));
  const [finding] = await findingsIn(world);
  expect(finding).toMatchObject({ code: "domain.nics_differ" });
  expect([finding?.expected, finding?.found]).toEqual([
    expect.stringMatching(/ in slot 3$/),
    expect.stringMatching(/ in slot 9$/),
  ]);
  await repairIn(world);
  expect(linesOf(await findingsIn(world))).toEqual([]);
});

test("every code says what it means and what is done about it", () => {
  for (const [code, { means, repair, byHand }] of Object.entries(CODES)) {
    expect(means).toMatch(/^[a-z]/);
    expect(repair ?? byHand).toMatch(/^[a-z]/);
    expect(code).toMatch(/^[a-z_]+\.[a-z_]+$/);
  }
  const ranks = Object.values(CODES).map(({ rank }) => rank);
  expect(new Set(ranks).size).toBe(ranks.length);
});
