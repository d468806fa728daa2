// What went wrong in the original, by the numbers of its list of bugs, and does not here.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { blankQcow2 } from "../src/driver/volume/image/blank-qcow2.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { SimulatedCrash } from "../src/transaction/faults.ts";
import { N0Error } from "../src/util/errors.ts";
import { until } from "../src/util/until.ts";
import { newGate } from "./gate.ts";
import { refused } from "./refused.ts";
import { GiB, MiB, prepareDisk, prepareImage, webRequest } from "./scenario.ts";
import { newWorld, type World } from "./world.ts";

const size = { requestBytes: GiB, limitBytes: GiB };
const sourceUrl = "https://images.example/disk";

async function withRunning(): Promise<World> {
  const world = await newWorld();
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
  return world;
}

/** As if the process died at the first such place; then it comes back. */
async function crash(world: World, point: string, step: string, call: () => Promise<unknown>) {
  const died = newGate();
  world.faults = (place) => {
    if (place.point !== point || (step !== "" && place.step !== step)) return;
    void died.pass();
    throw new SimulatedCrash();
  };
  const calling = call().catch(() => undefined);
  await died.reached;
  await world.restart();
  await calling;
}

test("1: creating a machine with another's disk made that disk available while in use", async () => {
  await using world = await withRunning();
  await prepareImage(world);
  await world.blockStorages.createBlockStorage({ name: "own", ...size });
  const before = await world.residue();
  for (const theirs of ["root", "base"]) {
    const thief = webRequest("thief", ["own", theirs]);
    expect(await refused(world.virtualMachines.createVirtualMachine(thief))).toMatchObject({
      code: "FailedPrecondition",
    });
  }
  expect(
    await refused(world.blockStorages.setAvailableBlockStorage({ name: "root" })),
  ).toMatchObject({
    code: "FailedPrecondition",
  });
  expect(await world.residue()).toEqual(before);
});

test("2: a nic whose name another machine's has was released with the failed creation", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await world.virtualMachines.createVirtualMachine(webRequest("vm1", []));
  const before = await world.residue();
  const nics = Array.from({ length: 11 }, () => ({ networkName: "net" }));
  const eleven = { ...webRequest("vm", []), nics };
  expect(await refused(world.virtualMachines.createVirtualMachine(eleven))).toMatchObject({
    code: "AlreadyExists",
    rollback: "done",
  });
  expect(await world.residue()).toEqual(before);
});

test("3: a release that read before it locked lost reservations made meanwhile", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  const names = Array.from({ length: 40 }, (_, i) => `i${i}`);
  const reserve = (networkInterfaceName: string) =>
    world.networks.reserveNetworkInterface({ networkName: "net", networkInterfaceName });
  await Promise.all(names.slice(0, 20).map(reserve));
  await Promise.all([
    ...names.slice(20).map(reserve),
    ...names
      .slice(0, 20)
      .map((networkInterfaceName) =>
        world.networks.releaseNetworkInterface({ networkName: "net", networkInterfaceName }),
      ),
  ]);
  const { reservedNetworkInterfaces } = await world.networks.getNetwork({ name: "net" });
  expect(Object.keys(reservedNetworkInterfaces).sort()).toEqual(
    ["default-gateway", ...names.slice(20)].sort(),
  );
});

test("4: two networks that overlapped had one number for both their links", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const made = await Promise.all(
    ["a", "b", "c"].map((name) => world.networks.applyNetwork({ name, ipv4Cidr: "10.0.0.0/24" })),
  );
  expect(new Set(made.map(({ vni }) => vni)).size).toBe(3);
});

test("5: unregistering freed any disk, whether in the image or not", async () => {
  await using world = await withRunning();
  await prepareImage(world);
  const before = await world.residue();
  const foreign = { imageName: "debian", blockStorageName: "root" };
  const { registeredBlockStorages } = await world.images.unregisterBlockStorage(foreign);
  expect(registeredBlockStorages.map((r) => r.blockStorageName)).toEqual(["base"]);
  expect(await world.residue()).toEqual(before);
});

test("6: a client that gave up took the rollback with it, and everything leaked", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  const client = new AbortController();
  world.faults = ({ step, point }) => {
    if (step === "domain.start_new" && point === "after_act") client.abort();
  };
  const call = { signal: client.signal };
  await refused(world.virtualMachines.createVirtualMachine(webRequest(), call));
  await until(() => world.opened.api.engine.openCount === 0);
  expect(await world.residue()).toEqual(before);
});

test("7: a crash between steps left records PENDING that nobody could delete, and machines", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  for (const step of ["node.reserve_compute", "network.make_tap", "domain.start_new"]) {
    const create = () => world.virtualMachines.createVirtualMachine(webRequest());
    await crash(world, "after_act", step, create);
    expect(await world.residue()).toEqual(before);
  }
  await world.virtualMachines.createVirtualMachine(webRequest());
});

test("8: the default gateway's interface was never removed", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await world.networks.deleteNetwork({ name: "net" });
  expect(await world.residue()).toEqual(before);
});

test("9: a boot that failed leaked taps and bridges, and killed a machine that was running", async () => {
  await using world = await withRunning();
  const { compute, network } = world.fakeNodes[0]!.drivers;
  await world.virtualMachines.saveVirtualMachine({ name: "web" });
  const failing = { when: "before", what: new N0Error("failed_precondition", "no") } as const;
  compute.faults.set("ensureResumed", failing);
  await refused(world.virtualMachines.bootVirtualMachine({ name: "web" }));
  expect(compute.snapshot().domains[0]?.state).toBe("paused");
  expect(Object.keys(network.snapshot().taps)).toHaveLength(1);

  await world.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
  await refused(world.virtualMachines.bootVirtualMachine({ name: "web" }));
  expect(network.snapshot()).toEqual({ taps: {}, networks: {} });
  compute.faults.clear();
  const booted = await world.virtualMachines.bootVirtualMachine({ name: "web" });
  expect(booted.state).toBe(State.RUNNING);
});

test("10: a deletion that was killed in the middle failed for ever after", async () => {
  for (const step of ["domain.remove", "network.remove_tap", "virtual_machine.forget"]) {
    await using world = await newWorld();
    await prepareDisk(world);
    const before = await world.residue();
    await world.virtualMachines.createVirtualMachine(webRequest());
    const remove = () => world.virtualMachines.deleteVirtualMachine({ name: "web" });
    await crash(world, "after_retriable", step, remove);
    expect(await world.residue()).toEqual(before);
  }
});

test("11: a disk whose file was gone could not be purged", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const { volumeId } = await world.blockStorages.createBlockStorage({ name: "disk", ...size });
  await world.blockStorages.deleteBlockStorage({ name: "disk" });
  const { volume } = world.fakeNodes[0]!.drivers;
  await volume.ensureAbsent(volumeId, new AbortController().signal);
  await world.blockStorages.purgeBlockStorage({ name: "disk" });
  expect(await world.residue()).toEqual(before);
});

test("12: an update of a disk lost its labels and annotations, and did not reserve what it said", async () => {
  await using world = await newWorld();
  const labels = { a: "b" };
  const annotations = { mine: "kept" };
  await world.blockStorages.createBlockStorage({ name: "d", ...size, labels, annotations });
  const grown = { name: "d", requestBytes: 2n * GiB, limitBytes: 4n * GiB };
  const updated = await world.blockStorages.updateBlockStorage(grown);
  expect(updated).toMatchObject({ labels, annotations });
  const { reservedStorages } = await world.nodes.getNode({ name: "node-1" });
  expect(reservedStorages["d"]).toMatchObject({ requestBytes: 2n * GiB, limitBytes: 4n * GiB });
});

test("13: a disk was copied while it was written to, deleted or not there yet", async () => {
  await using world = await withRunning();
  const copy = {
    name: "copy",
    requestBytes: GiB,
    limitBytes: 10n * GiB,
    sourceBlockStorage: "root",
  };
  expect((await refused(world.blockStorages.copyBlockStorage(copy))).code).toBe(
    "FailedPrecondition",
  );
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  const gate = newGate();
  world.fakeNodes[0]!.drivers.volume.before = async ({ method }) => {
    if (method === "ensureCopy") await gate.pass();
  };
  const copying = world.blockStorages.copyBlockStorage(copy);
  await gate.reached;
  const create = world.virtualMachines.createVirtualMachine(webRequest());
  expect(await refused(create)).toMatchObject({
    code: "Aborted",
    message: expect.stringContaining("CopyBlockStorage"),
  });
  gate.open();
  expect((await copying).state).toBe(DiskState.AVAILABLE);
});

test("14: a registration or an image's deletion that died half-way left disks protected", async () => {
  await using world = await newWorld();
  await world.blockStorages.createBlockStorage({ name: "base", ...size });
  await world.images.applyImage({ name: "debian" });
  const before = await world.residue();
  const registration = { imageName: "debian", blockStorageName: "base", tags: ["12"] };
  await crash(world, "before_commit", "", () => world.images.registerBlockStorage(registration));
  expect(await world.residue()).toEqual(before);
  await world.images.registerBlockStorage(registration);
  const registered = await world.residue();
  await crash(world, "before_commit", "", () => world.images.deleteImage({ name: "debian" }));
  expect(await world.residue()).toEqual(registered);
});

test("15: a fetch that broke off left a part that the next one stumbled over", async () => {
  await using world = await newWorld();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.sources.set(sourceUrl, blankQcow2(64n * MiB));
  volume.after = ({ method }) => {
    if (method === "ensureFetched") throw new N0Error("unavailable", "the source went away");
  };
  const before = await world.residue();
  const fetch = () => world.blockStorages.fetchBlockStorage({ name: "d", ...size, sourceUrl });
  expect(await refused(fetch())).toMatchObject({ code: "Unavailable", rollback: "done" });
  expect(await world.residue()).toEqual(before);
  volume.after = () => {};
  expect((await fetch()).state).toBe(DiskState.AVAILABLE);
});

test("16: a virtual machine's working directory was never deleted", async () => {
  await using world = await withRunning();
  const node = world.fakeNodes[0]!;
  expect(node.snapshot().compute.folders).toEqual(["web"]);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  expect(node.snapshot()).toMatchObject({ compute: { folders: [] }, seeds: {} });
});

test("17: a machine that could not be started was answered as made, in no state at all", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  const what = new N0Error("unavailable", "the hypervisor is away");
  world.fakeNodes[0]!.drivers.compute.faults.set("ensureStarted", { when: "after", what });
  const create = world.virtualMachines.createVirtualMachine(webRequest());
  expect(await refused(create)).toMatchObject({ code: "Unavailable", rollback: "done" });
  expect(await world.residue()).toEqual(before);
});

test("18: a bug in a handler or on a node was answered as success", async () => {
  await using world = await newWorld();
  const before = await world.residue();
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.before = ({ method }) => {
    if (method === "ensureEmpty") throw new TypeError("secret of the node");
  };
  const make = () => world.blockStorages.createBlockStorage({ name: "d", ...size });
  const internal = { code: "Internal", message: expect.stringMatching(/internal error$/) };
  expect(await refused(make())).toMatchObject(internal);
  world.faults = ({ point }) => {
    if (point === "before_begin") throw new TypeError("secret of the API");
  };
  expect(await refused(make())).toMatchObject(internal);
  expect(await world.residue()).toEqual(before);
});

test.for([
  [
    "16: a virtual machine's working directory was never deleted",
    "src/driver/compute/suite/folders.suite.ts",
    "the folder is removed with the virtual machine, and also where there is none",
  ],
  [
    "19: two virtual machines raced for a VNC port, which anybody could open",
    "src/driver/compute/libvirt/domain-xml.test.ts",
    "nothing listens on TCP, and sockets lie in the folder",
  ],
  [
    "21: a raw disk became a read-only CD-ROM",
    "src/agent/compute/compute-routes.test.ts",
    "starts a domain with its volumes in order, then its seed, under the operation's mark",
  ],
  [
    "21: a raw image was kept raw",
    "src/driver/volume/volume-driver.suite.ts",
    "fetches a raw image",
  ],
  [
    "28: what was requested was not guaranteed",
    "src/driver/compute/libvirt/cpu-shares.test.ts",
    "one core is 1024 shares on cgroup v1 and a weight of 100 on v2, within the kernel's limits",
  ],
  [
    "31: two processes could write one base directory",
    "src/serve/run.test.ts",
    "has its base directory alone, until it is killed",
  ],
] as const)("%s: see %s", ([, path, title]) => {
  expect(readFileSync(path, "utf8")).toContain(`test("${title}"`);
});
