import { expect, test } from "vitest";
import { newGate } from "../../../../test/gate.ts";
import { refused } from "../../../../test/refused.ts";
import {
  GiB,
  prepareDisk,
  prepareImage,
  REQUEST_NODE,
  SSH_KEY,
  webRequest,
} from "../../../../test/scenario.ts";
import { newWorld } from "../../../../test/world.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachine_VirtualMachineState as State } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";

test("a virtual machine is made whole, and its deletion leaves nothing", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();

  const vm = await world.virtualMachines.createVirtualMachine(webRequest());

  expect(vm).toMatchObject({
    state: State.RUNNING,
    computeNodeName: "node-1",
    computeName: "web",
    networkInterfaceNames: ["web0"],
    transactionId: "",
  });
  expect(vm.nics[0]?.ipv4Address).toBe("10.0.0.253");
  const seen = await world.virtualMachines.getVirtualMachine({ name: "web" });
  expect(seen).toEqual(vm);
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toEqual([vm]);

  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  expect(await world.residue()).toEqual(before);
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toEqual([]);
});

test("the domain has the limit's processors, the request's share, and its disks in their order", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const second = { name: "data", requestBytes: GiB, limitBytes: GiB };
  await world.blockStorages.createBlockStorage(second);
  const vm = await world.virtualMachines.createVirtualMachine(webRequest("web", ["data", "root"]));
  const [domain] = world.fakeNodes[0]!.snapshot().compute.domains;
  expect(domain).toMatchObject({ name: "web", uuid: vm.uuid, vcpus: 2, memoryBytes: GiB });
  expect(domain?.mark.owner).toBe("virtual_machine/web");
  expect(domain?.diskPaths.slice(0, 2)).toEqual([
    expect.stringContaining("/data."),
    expect.stringContaining("/root."),
  ]);
  const { reservedComputes } = await world.nodes.getNode({ name: "node-1" });
  expect(reservedComputes["web"]).toMatchObject({
    requestCpuMilliCore: 100,
    limitCpuMilliCore: 2000,
    annotations: { "n0core/provisioning/virtual_machine/virtual_machine/reserved_by": "web" },
  });
  expect(await world.blockStorages.getBlockStorage({ name: "root" })).toMatchObject({
    state: DiskState.IN_USE,
    usedBy: "web",
  });
});

test("the UUID is the original's for the name, or the one that is given, which only one can have", async () => {
  await using world = await newWorld();
  const request = { ...webRequest("web", []), nics: [] };
  // UUIDv5 of "web" in the original's namespace.
  expect((await world.virtualMachines.createVirtualMachine(request)).uuid).toBe(
    "137c9f99-830b-594d-9e32-78bb60865f33",
  );
  const uuid = "0A5A3F7E-1111-4222-8333-444455556666";
  const given = await world.virtualMachines.createVirtualMachine({ ...request, name: "a", uuid });
  expect(given.uuid).toBe(uuid.toLowerCase());
  const before = await world.residue();
  expect(
    await refused(world.virtualMachines.createVirtualMachine({ ...request, name: "b", uuid })),
  ).toMatchObject({ code: "AlreadyExists", field: "uuid" });
  expect(await world.residue()).toEqual(before);
});

test.for([
  [{ requestCpuMilliCore: 1 }, { requestCpuMilliCore: 1, limitCpuMilliCore: 1000 }],
  [{ requestCpuMilliCore: 1001 }, { requestCpuMilliCore: 1001, limitCpuMilliCore: 2000 }],
  [{ requestMemoryBytes: 2n * GiB }, { limitMemoryBytes: 2n * GiB }],
] as const)("a limit that is not given follows from %o: %o", async ([change, expected]) => {
  await using world = await newWorld();
  const unset = { limitCpuMilliCore: 0, limitMemoryBytes: 0n };
  const request = { ...webRequest("web", []), nics: [], ...unset, ...change };
  const made = await world.virtualMachines.createVirtualMachine(request);
  expect(made).toMatchObject(expected);
  expect(world.fakeNodes[0]!.snapshot().compute.domains[0]).toMatchObject({
    vcpus: made.limitCpuMilliCore / 1000,
    memoryBytes: made.requestMemoryBytes,
  });
  const { reservedComputes } = await world.nodes.getNode({ name: "node-1" });
  expect(reservedComputes["web"]).toMatchObject(expected);
});

test("the annotations of a virtual machine are those that were asked for: no port is open to tell", async () => {
  await using world = await newWorld();
  const annotations = { "n0core/provisioning/virtual_machine/vnc_websocket_port": "5700" };
  for (const [name, given] of [["web", {}] as const, ["other", annotations] as const]) {
    const request = { ...webRequest(name, []), nics: [], annotations: given };
    const made = await world.virtualMachines.createVirtualMachine(request);
    expect(made.annotations).toEqual(given);
  }
});

test.for([
  ["name", { name: "" }],
  ["limit_cpu_milli_core", { limitCpuMilliCore: 1500 }],
  ["limit_cpu_milli_core", { limitCpuMilliCore: 256_000 }],
  ["limit_cpu_milli_core", { requestCpuMilliCore: 2001 }],
  ["request_cpu_milli_core", { requestCpuMilliCore: 0 }],
  ["request_memory_bytes", { requestMemoryBytes: 0n }],
  ["request_memory_bytes", { requestMemoryBytes: 1n, limitMemoryBytes: 1n }],
  ["request_memory_bytes", { requestMemoryBytes: 0n, limitMemoryBytes: 0n }],
  ["limit_memory_bytes", { limitMemoryBytes: 2n * GiB }],
  ["uuid", { uuid: "no-uuid" }],
  ["login_username", { loginUsername: "root: x\n" }],
  ["login_username", { loginUsername: "Me" }],
  ["ssh_authorized_keys[0]", { sshAuthorizedKeys: ["no key"] }],
  ["ssh_authorized_keys[0]", { sshAuthorizedKeys: [SSH_KEY.slice(0, 60)] }],
  ["block_storage_names", { blockStorageNames: ["root", "root"] }],
  ["block_storage_names[0]", { blockStorageNames: ["../root"] }],
  ["nics[0].network_name", { nics: [{}] }],
  ["nics[0].ipv4_address", { nics: [{ networkName: "net", ipv4Address: "10.0.0.255" }] }],
  ["nics[0].hardware_address", { nics: [{ networkName: "net", hardwareAddress: "x" }] }],
])("a wrong %s is refused, and nothing is written: %o", async ([field, change]) => {
  await using world = await newWorld();
  await prepareDisk(world);
  const before = await world.residue();
  const request = Object.assign(webRequest(), change);
  const refusal = await refused(world.virtualMachines.createVirtualMachine(request));
  expect(refusal).toMatchObject({ code: "InvalidArgument", field });
  expect(refusal.message).toContain(field);
  expect(await world.residue()).toEqual(before);
});

test.for([
  ["a disk that does not exist", "NotFound", { blockStorageNames: ["none"] }],
  ["a disk that an image holds", "FailedPrecondition", { blockStorageNames: ["root", "base"] }],
  ["a disk of somebody's", "FailedPrecondition", { blockStorageNames: ["root", "used"] }],
  ["a network that does not exist", "NotFound", { nics: [{ networkName: "none" }] }],
  [
    "an address that is taken",
    "AlreadyExists",
    { nics: [{ networkName: "net" }, { networkName: "net", ipv4Address: "10.0.0.254" }] },
  ],
  [
    "too much memory",
    "ResourceExhausted",
    { requestMemoryBytes: 512n * GiB, limitMemoryBytes: 512n * GiB },
  ],
])("%s: refused as %s, and nothing is touched", async ([, code, change]) => {
  await using world = await newWorld();
  await prepareDisk(world);
  await prepareImage(world);
  await world.blockStorages.createBlockStorage({ name: "used", requestBytes: 1n, limitBytes: GiB });
  await world.blockStorages.setInuseBlockStorage({ name: "used" });
  const before = await world.residue();
  const request = Object.assign(webRequest(), change);
  expect((await refused(world.virtualMachines.createVirtualMachine(request))).code).toBe(code);
  expect(await world.residue()).toEqual(before);
});

test("disks on different nodes, or elsewhere than asked, are refused before anything is touched", async () => {
  await using world = await newWorld({ nodeCount: 2 });
  await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  for (const node of ["node-1", "node-2"]) {
    await world.blockStorages.createBlockStorage({
      name: `on-${node}`,
      requestBytes: GiB,
      limitBytes: GiB,
      annotations: { [REQUEST_NODE]: node },
    });
  }
  const before = await world.residue();
  const both = webRequest("web", ["on-node-1", "on-node-2"]);
  const apart = await refused(world.virtualMachines.createVirtualMachine(both));
  expect(apart).toMatchObject({ code: "FailedPrecondition", field: "block_storage_names" });
  expect(apart.message).toMatch(/on-node-1.*node-1.*on-node-2.*node-2/);
  const annotations = { "n0core/provisioning/virtual_machine/request_node_name": "node-1" };
  const pinned = { ...webRequest("web", ["on-node-2"]), annotations };
  expect(await refused(world.virtualMachines.createVirtualMachine(pinned))).toMatchObject({
    code: "FailedPrecondition",
  });
  expect(await world.residue()).toEqual(before);
});

test("a disk that is being generated from is nobody's to write to", async () => {
  await using world = await newWorld();
  await prepareImage(world);
  await world.images.generateBlockStorage({
    imageName: "debian",
    tag: "12",
    blockStorageName: "overlay",
    requestBytes: GiB,
    limitBytes: GiB,
  });
  await world.images.deleteImage({ name: "debian" });
  const request = { ...webRequest("web", ["base"]), nics: [] };
  const refusal = await refused(world.virtualMachines.createVirtualMachine(request));
  expect(refusal).toMatchObject({ code: "FailedPrecondition" });
  expect(refusal.message).toContain('"overlay"');
});

test("of many that want one disk at once, one gets it", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) =>
      world.virtualMachines.createVirtualMachine(webRequest(`web-${i}`)),
    ),
  );
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect((await world.virtualMachines.listVirtualMachines({})).virtualMachines).toHaveLength(1);
  expect(world.fakeNodes[0]!.snapshot().compute.domains).toHaveLength(1);
});

test("one that is being made is PENDING with its transaction, and busy for others", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  const gate = newGate();
  world.fakeNodes[0]!.drivers.network.before = async (method) => {
    if (method === "ensureTap") await gate.pass();
  };
  const making = world.virtualMachines.createVirtualMachine(webRequest());
  await gate.reached;
  const seen = await world.virtualMachines.getVirtualMachine({ name: "web" });
  expect(seen.state).toBe(State.PENDING);
  expect(seen.transactionId).not.toBe("");
  for (const call of [
    () => world.virtualMachines.createVirtualMachine(webRequest()),
    () => world.virtualMachines.deleteVirtualMachine({ name: "web" }),
    () => world.virtualMachines.updateVirtualMachine({ name: "web", labels: { a: "b" } }),
    () => world.blockStorages.deleteBlockStorage({ name: "root" }),
  ]) {
    const refusal = await refused(call());
    expect(refusal.code).toBe("Aborted");
    expect(refusal.message).toContain("CreateVirtualMachine");
    expect(refusal.retryAfterMs).toBeGreaterThan(0);
  }
  gate.open();
  expect(await making).toMatchObject({ state: State.RUNNING, transactionId: "" });
});

test("a name is had once, and is free when its virtual machine is deleted", async () => {
  await using world = await newWorld();
  const request = { ...webRequest("web", []), nics: [] };
  await world.virtualMachines.createVirtualMachine(request);
  const before = await world.residue();
  expect(await refused(world.virtualMachines.createVirtualMachine(request))).toMatchObject({
    code: "AlreadyExists",
    resource: "virtual_machine/web",
  });
  expect(await world.residue()).toEqual(before);
  await world.virtualMachines.deleteVirtualMachine({ name: "web" });
  expect(await refused(world.virtualMachines.deleteVirtualMachine({ name: "web" }))).toMatchObject({
    code: "NotFound",
  });
  await world.virtualMachines.createVirtualMachine(request);
});
