import { clone } from "@bufbuild/protobuf";
import { nodes } from "../../src/api/pool/node/collection.ts";
import { put } from "../../src/datastore/collection.ts";
import { NodeSchema } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import type { RpcCase } from "../saga-cases.ts";
import { GiB, prepareDisk, prepareImage, REQUEST_NODE, SSH_KEY, webRequest } from "../scenario.ts";
import type { World } from "../world.ts";

const COMPUTE = { nodeName: "node-1", computeName: "mine" };
const STORAGE = { nodeName: "node-1", storageName: "mine" };
const SIZE = { requestBytes: GiB, limitBytes: 2n * GiB };
const INTERFACE = { networkName: "net", networkInterfaceName: "mine" };

/** As SetNodeLost leaves it; that itself needs a node that is silent, and the clock stands still here. */
async function giveUp({ opened: { api } }: World, name: string): Promise<void> {
  const node = clone(NodeSchema, (await api.records.find(nodes, name))!.value);
  node.lost = true;
  await api.datastore.batch(put(nodes, [name], node));
}

async function prepareUser({ users }: World): Promise<void> {
  await users.createUser({ name: "other" });
  await users.createUser({ name: "me" });
}

export const otherCases: readonly RpcCase[] = [
  {
    rpc: "ApplyNode",
    prepare: prepareDisk,
    call: ({ nodes }) =>
      nodes.applyNode({ name: "node-9", address: "node-9:20181", cpuMilliCores: 1000 }),
  },
  {
    rpc: "DeleteNode",
    nodeCount: 2,
    prepare: async () => {},
    call: ({ nodes }) => nodes.deleteNode({ name: "node-2" }),
  },
  {
    rpc: "DeleteNode",
    about: "lost, with its objects",
    nodeCount: 2,
    prepare: async (world) => {
      await prepareImage(world);
      await world.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
      const onNode = { annotations: { [REQUEST_NODE]: "node-1" } };
      await world.blockStorages.createBlockStorage({ name: "root", ...SIZE, ...onNode });
      await world.virtualMachines.createVirtualMachine(webRequest());
      await giveUp(world, "node-1");
    },
    call: ({ nodes }) => nodes.deleteNode({ name: "node-1", withObjects: true }),
  },
  {
    rpc: "DeleteNode",
    about: "lost, with a base of which another node has an outdated copy",
    nodeCount: 2,
    prepare: async (world) => {
      await prepareImage(world);
      const { blockStorages, images } = world;
      const copy = { imageName: "debian", tag: "12", blockStorageName: "copy", ...SIZE };
      await images.generateBlockStorage({ ...copy, annotations: { [REQUEST_NODE]: "node-2" } });
      await blockStorages.deleteBlockStorage({ name: "copy" });
      await blockStorages.purgeBlockStorage({ name: "copy" });
      await images.deleteImage({ name: "debian" });
      await giveUp(world, "node-1");
    },
    call: ({ nodes }) => nodes.deleteNode({ name: "node-1", withObjects: true }),
  },
  {
    rpc: "SetNodeLost",
    nodeCount: 2,
    prepare: (world) => giveUp(world, "node-2"),
    call: ({ nodes }) => nodes.setNodeLost({ name: "node-2", lost: false }),
  },
  {
    rpc: "ReserveCompute",
    prepare: prepareDisk,
    call: ({ nodes }) =>
      nodes.reserveCompute({ ...COMPUTE, requestCpuMilliCore: 100, requestMemoryBytes: GiB }),
  },
  {
    rpc: "ReleaseCompute",
    prepare: async ({ nodes }) => {
      await nodes.reserveCompute({ ...COMPUTE, requestCpuMilliCore: 100, requestMemoryBytes: GiB });
    },
    call: ({ nodes }) => nodes.releaseCompute(COMPUTE),
  },
  {
    rpc: "ReserveStorage",
    prepare: prepareDisk,
    call: ({ nodes }) => nodes.reserveStorage({ ...STORAGE, requestBytes: GiB }),
  },
  {
    rpc: "ReleaseStorage",
    prepare: async ({ nodes }) => {
      await nodes.reserveStorage({ ...STORAGE, requestBytes: GiB });
    },
    call: ({ nodes }) => nodes.releaseStorage(STORAGE),
  },
  {
    rpc: "ApplyNetwork",
    prepare: prepareDisk,
    call: ({ networks }) => networks.applyNetwork({ name: "new", ipv4Cidr: "10.1.0.0/24" }),
  },
  {
    rpc: "ApplyNetwork",
    about: "other CIDRs",
    nodeCount: 0,
    prepare: async ({ networks }) => {
      await networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
      await networks.reserveNetworkInterface({
        networkName: "net",
        networkInterfaceName: "i",
        ipv4Address: "10.0.0.9",
      });
    },
    call: ({ networks }) =>
      networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/16", ipv6Cidr: "fd00::/64" }),
  },
  {
    rpc: "DeleteNetwork",
    prepare: prepareDisk,
    call: ({ networks }) => networks.deleteNetwork({ name: "net" }),
  },
  {
    rpc: "ReserveNetworkInterface",
    prepare: prepareDisk,
    call: ({ networks }) => networks.reserveNetworkInterface(INTERFACE),
  },
  {
    rpc: "ReleaseNetworkInterface",
    prepare: async (world) => {
      await prepareDisk(world);
      await world.networks.reserveNetworkInterface(INTERFACE);
    },
    call: ({ networks }) => networks.releaseNetworkInterface(INTERFACE),
  },
  {
    rpc: "ApplyImage",
    prepare: prepareImage,
    call: ({ images }) => images.applyImage({ name: "new" }),
  },
  {
    rpc: "DeleteImage",
    prepare: prepareImage,
    call: ({ images }) => images.deleteImage({ name: "debian" }),
  },
  {
    rpc: "RegisterBlockStorage",
    prepare: async (world) => {
      await prepareImage(world);
      await prepareDisk(world);
    },
    call: ({ images }) =>
      images.registerBlockStorage({
        imageName: "debian",
        blockStorageName: "root",
        tags: ["12"],
      }),
  },
  {
    rpc: "UnregisterBlockStorage",
    prepare: prepareImage,
    call: ({ images }) =>
      images.unregisterBlockStorage({ imageName: "debian", blockStorageName: "base" }),
  },
  {
    rpc: "TagImage",
    prepare: prepareImage,
    call: ({ images }) =>
      images.tagImage({ name: "debian", tag: "new", registeredBlockStorageName: "base" }),
  },
  {
    rpc: "UntagImage",
    prepare: prepareImage,
    call: ({ images }) => images.untagImage({ name: "debian", tag: "12" }),
  },
  {
    rpc: "CreateUser",
    prepare: prepareUser,
    call: ({ users }) => users.createUser({ name: "new" }),
  },
  {
    rpc: "DeleteUser",
    prepare: prepareUser,
    call: ({ users }) => users.deleteUser({ name: "me" }),
  },
  {
    rpc: "AddSshPublicKey",
    prepare: prepareUser,
    call: ({ users }) =>
      users.addSshPublicKey({ userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY }),
  },
  {
    rpc: "DeleteSshPublicKey",
    prepare: async (world) => {
      await prepareUser(world);
      const key = { userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY };
      await world.users.addSshPublicKey(key);
    },
    call: ({ users }) => users.deleteSshPublicKey({ userName: "me", sshPublicKeyName: "k" }),
  },
];
