import { expect, test } from "vitest";
import { refused } from "../../test/refused.ts";
import { GiB } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";

const BAD_NAMES = [
  "",
  "a/b",
  "..",
  "../../etc/passwd",
  "-a",
  'a"b',
  "a'b",
  "a b",
  "a\nb",
  "ä",
  "a,b",
  "%2e",
  "a".repeat(64),
  "a".repeat(200),
];

type Calls = Record<string, (world: World, name: string) => Promise<unknown>>;

const size = { requestBytes: GiB, limitBytes: GiB };
const compute = { requestCpuMilliCore: 1, requestMemoryBytes: 1n };
const vmSize = {
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: GiB,
  limitMemoryBytes: GiB,
};

/** Every field that takes a name, with a call in which it alone is wrong. */
const calls: Record<string, Calls> = {
  name: {
    getNode: ({ nodes }, name) => nodes.getNode({ name }),
    applyNode: ({ nodes }, name) => nodes.applyNode({ name, address: "node-1:20181" }),
    deleteNode: ({ nodes }, name) => nodes.deleteNode({ name }),
    setNodeLost: ({ nodes }, name) => nodes.setNodeLost({ name, lost: true }),
    heartbeatNode: ({ nodes }, name) => nodes.heartbeatNode({ name }),
    getNetwork: ({ networks }, name) => networks.getNetwork({ name }),
    applyNetwork: ({ networks }, name) => networks.applyNetwork({ name, ipv4Cidr: "10.0.0.0/8" }),
    deleteNetwork: ({ networks }, name) => networks.deleteNetwork({ name }),
    getBlockStorage: ({ blockStorages }, name) => blockStorages.getBlockStorage({ name }),
    createBlockStorage: ({ blockStorages }, name) =>
      blockStorages.createBlockStorage({ name, ...size }),
    fetchBlockStorage: ({ blockStorages }, name) =>
      blockStorages.fetchBlockStorage({ name, ...size, sourceUrl: "file:///a" }),
    copyBlockStorage: ({ blockStorages }, name) =>
      blockStorages.copyBlockStorage({ name, ...size, sourceBlockStorage: "a" }),
    updateBlockStorage: ({ blockStorages }, name) => blockStorages.updateBlockStorage({ name }),
    deleteBlockStorage: ({ blockStorages }, name) => blockStorages.deleteBlockStorage({ name }),
    undeleteBlockStorage: ({ blockStorages }, name) => blockStorages.undeleteBlockStorage({ name }),
    purgeBlockStorage: ({ blockStorages }, name) => blockStorages.purgeBlockStorage({ name }),
    setInuseBlockStorage: ({ blockStorages }, name) => blockStorages.setInuseBlockStorage({ name }),
    setAvailableBlockStorage: ({ blockStorages }, name) =>
      blockStorages.setAvailableBlockStorage({ name }),
    setProtectedBlockStorage: ({ blockStorages }, name) =>
      blockStorages.setProtectedBlockStorage({ name }),
    downloadBlockStorage: ({ blockStorages }, name) => blockStorages.downloadBlockStorage({ name }),
    getVirtualMachine: ({ virtualMachines }, name) => virtualMachines.getVirtualMachine({ name }),
    createVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.createVirtualMachine({ name, ...vmSize }),
    updateVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.updateVirtualMachine({ name }),
    deleteVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.deleteVirtualMachine({ name }),
    bootVirtualMachine: ({ virtualMachines }, name) => virtualMachines.bootVirtualMachine({ name }),
    rebootVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.rebootVirtualMachine({ name }),
    shutdownVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.shutdownVirtualMachine({ name }),
    saveVirtualMachine: ({ virtualMachines }, name) => virtualMachines.saveVirtualMachine({ name }),
    openConsole: ({ virtualMachines }, name) => virtualMachines.openConsole({ name }),
    getImage: ({ images }, name) => images.getImage({ name }),
    applyImage: ({ images }, name) => images.applyImage({ name }),
    deleteImage: ({ images }, name) => images.deleteImage({ name }),
    tagImage: ({ images }, name) =>
      images.tagImage({ name, tag: "a", registeredBlockStorageName: "a" }),
    untagImage: ({ images }, name) => images.untagImage({ name, tag: "a" }),
    getUser: ({ users }, name) => users.getUser({ name }),
    createUser: ({ users }, name) => users.createUser({ name }),
    deleteUser: ({ users }, name) => users.deleteUser({ name }),
  },
  node_name: {
    reserveCompute: ({ nodes }, nodeName) =>
      nodes.reserveCompute({ nodeName, computeName: "a", ...compute }),
    releaseStorage: ({ nodes }, nodeName) => nodes.releaseStorage({ nodeName, storageName: "a" }),
  },
  compute_name: {
    scheduleCompute: ({ nodes }, computeName) => nodes.scheduleCompute({ computeName, ...compute }),
  },
  network_name: {
    reserveNetworkInterface: ({ networks }, networkName) =>
      networks.reserveNetworkInterface({ networkName, networkInterfaceName: "a" }),
  },
  source_block_storage: {
    copyBlockStorage: ({ blockStorages }, sourceBlockStorage) =>
      blockStorages.copyBlockStorage({ name: "a", ...size, sourceBlockStorage }),
  },
  "block_storage_names[1]": {
    createVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.createVirtualMachine({
        name: "a",
        ...vmSize,
        blockStorageNames: ["b", name],
      }),
  },
  "nics[0].network_name": {
    createVirtualMachine: ({ virtualMachines }, networkName) =>
      virtualMachines.createVirtualMachine({ name: "a", ...vmSize, nics: [{ networkName }] }),
  },
  "user_names[0]": {
    createVirtualMachine: ({ virtualMachines }, name) =>
      virtualMachines.createVirtualMachine({ name: "a", ...vmSize, userNames: [name] }),
  },
  image_name: {
    generateBlockStorage: ({ images }, imageName) =>
      images.generateBlockStorage({ imageName, tag: "a", blockStorageName: "a", ...size }),
  },
  block_storage_name: {
    registerBlockStorage: ({ images }, blockStorageName) =>
      images.registerBlockStorage({ imageName: "a", blockStorageName }),
    unregisterBlockStorage: ({ images }, blockStorageName) =>
      images.unregisterBlockStorage({ imageName: "a", blockStorageName }),
  },
};

test.for(
  Object.entries(calls).flatMap(([field, byMethod]) =>
    Object.keys(byMethod).map((method) => [method, field] as const),
  ),
)("%s says what is wrong with its %s, and writes nothing", async ([method, field]) => {
  await using world = await newWorld({ nodeCount: 0 });
  const before = await world.residue();
  for (const name of BAD_NAMES) {
    const refusal = await refused(calls[field]![method]!(world, name));
    expect(refusal).toMatchObject({ code: "InvalidArgument", field });
    expect(refusal.message).toBe(
      `${field}: must be 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit`,
    );
  }
  expect(await world.residue()).toEqual(before);
});

test("all that is wrong with a request is said at once", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const annotations = { "": "no key" };
  const call = world.virtualMachines.createVirtualMachine({
    name: "a b",
    annotations,
    nics: [{ networkName: "no/net" }],
  });
  const { message } = await refused(call);
  for (const field of ["name:", 'annotations[""]:', "nics[0].network_name:"]) {
    expect(message).toContain(field);
  }
});

test("annotations and labels are kept as they were given, whatever they hold", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const annotations = { "n0core/x": "100", "%": "%s %d", "a\nb": "\u0000", constructor: "18.04" };
  const made = await world.images.applyImage({ name: "a", annotations, labels: annotations });
  expect(made).toMatchObject({ annotations, labels: annotations });
  expect(await world.images.getImage({ name: "a" })).toEqual(made);
});
