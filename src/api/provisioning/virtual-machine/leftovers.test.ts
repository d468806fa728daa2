import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { deviceName } from "../../../util/checksum.ts";

/** What is on the node from a control plane whose database is not there any more. */
const older = { owner: "virtual_machine/web", transactionId: "tx-older" };
const signal = new AbortController().signal;
const spec = {
  name: "web",
  uuid: "3f2b6f6e-0000-4000-8000-000000000001",
  vcpus: 8,
  cpuMilliCores: 8000,
  memoryBytes: 1n << 33n,
  disks: [],
  nics: [],
};
/** The tap of the first nic of "web". */
const tapName = deviceName("web0");

function driversOf(world: World) {
  return world.fakeNodes[0]!.drivers;
}

/** Creates "web", which is refused and changes nothing anywhere. */
async function createRefused(world: World, message: string): Promise<void> {
  const before = await world.residue();
  expect(await refused(world.virtualMachines.createVirtualMachine(webRequest()))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining(message),
    resource: older.owner,
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
}

test("a domain that is left over under the name is not taken for the new one, and not touched", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const { compute } = driversOf(world);
  await compute.ensureStarted(spec, older, signal);
  await compute.ensureResumed("web", signal);
  const message =
    'node "node-1": a domain for virtual machine "web" is left over from transaction "tx-older": remove it';
  await createRefused(world, message);
  expect(compute.snapshot().domains).toMatchObject([{ name: "web", mark: older, vcpus: 8 }]);

  await compute.ensureOff("web", signal);
  await createRefused(world, message);
  await compute.ensureAbsent("web", older, signal);
  const vm = await world.virtualMachines.createVirtualMachine(webRequest());
  expect(vm.state).toBe(State.RUNNING);
});

test("a domain that comes between the seed and the start is not touched either", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const { compute } = driversOf(world);
  world.faults = async ({ point, step }) => {
    if (point !== "before_act" || step !== "domain.start_new") return;
    await compute.ensureStarted(spec, older, signal);
  };
  const create = world.virtualMachines.createVirtualMachine(webRequest());
  expect((await refused(create)).code).toBe("FailedPrecondition");
  expect(compute.snapshot()).toMatchObject({ domains: [{ name: "web", mark: older }] });
  expect(driversOf(world).network.snapshot()).toEqual({ taps: {}, networks: {} });
});

test("a folder with a seed that is left over is refused and not written over", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const { compute, seed } = driversOf(world);
  const content = { instanceId: "i", hostname: "older", sshAuthorizedKeys: [], nics: [] };
  await seed.ensure(await compute.ensureFolder("web", older), content, signal);
  await createRefused(world, 'a folder for virtual machine "web" is left over');
});

test("a tap of another owner is refused and not touched", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const { network } = driversOf(world);
  const another = { owner: "virtual_machine/another", transactionId: "tx-older" };
  await network.ensureTap(tapName, another, signal);
  await network.ensureAttached(tapName, { name: "elsewhere" }, signal);
  const before = await world.residue();
  expect(await refused(world.virtualMachines.createVirtualMachine(webRequest()))).toMatchObject({
    code: "FailedPrecondition",
    message: expect.stringContaining(`a tap "${tapName}" of "virtual_machine/another"`),
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
});

test("a tap that is left over without a domain is replaced, and goes with the virtual machine", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  const { network } = driversOf(world);
  await network.ensureTap(tapName, older, signal);
  await network.ensureAttached(tapName, { name: "elsewhere" }, signal);
  const vm = await world.virtualMachines.createVirtualMachine(webRequest());
  expect(network.snapshot().taps[tapName]).toMatchObject({ networkName: "net" });
  await network.ensureNetworkAbsent("elsewhere", signal);
  await world.virtualMachines.deleteVirtualMachine({ name: vm.name });
  expect(await world.residue()).toEqual(before);
});

test("a virtual machine that was booted and updated since is removed with all that it has", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  const { virtualMachines } = world;
  await virtualMachines.createVirtualMachine(webRequest());
  await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await virtualMachines.updateVirtualMachine({
    name: "web",
    limitCpuMilliCore: 1000,
    updateMask: { paths: ["limit_cpu_milli_core"] },
  });
  await virtualMachines.bootVirtualMachine({ name: "web" });
  await virtualMachines.deleteVirtualMachine({ name: "web" });
  expect(await world.residue()).toEqual(before);
});
