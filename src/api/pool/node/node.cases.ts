import { clone } from "@bufbuild/protobuf";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import {
  GiB,
  prepareDisk,
  prepareImage,
  REQUEST_NODE,
  webRequest,
} from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { NodeSchema } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { nodeRef } from "../../../util/ref.ts";
import { nodes } from "./collection.ts";

const COMPUTE = { nodeName: "node-1", computeName: "mine" };
const STORAGE = { nodeName: "node-1", storageName: "mine" };
const SIZE = { requestBytes: GiB, limitBytes: 2n * GiB };

/** As SetNodeLost leaves it; that itself needs a node that is silent, and the clock stands still here. */
async function giveUp({ opened: { api } }: World, name: string): Promise<void> {
  const ref = nodeRef(name);
  const node = clone(NodeSchema, (await api.records.find(nodes, ref))!.value);
  node.lost = true;
  await api.datastore.batch(put(nodes, [ref], node));
}

export const rpcCases: readonly RpcCase[] = [
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
];
