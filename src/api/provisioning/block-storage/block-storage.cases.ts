import type { Others } from "../../../../test/other-sagas.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import {
  GiB,
  prepareDisk,
  prepareImage,
  REQUEST_NODE,
  webRequest,
} from "../../../../test/scenario.ts";
import type { World } from "../../../../test/world.ts";
import { blankQcow2 } from "../../../driver/volume/image/blank-qcow2.ts";

const SIZE = { requestBytes: GiB, limitBytes: 2n * GiB };
const SOURCE_URL = "http://images.test/disk.qcow2?signature=a";

async function prepareDeleted(world: World): Promise<void> {
  await prepareImage(world);
  const { blockStorages } = world;
  await blockStorages.createBlockStorage({ name: "old", ...SIZE });
  await blockStorages.deleteBlockStorage({ name: "old" });
}

async function prepareInUse(world: World): Promise<void> {
  await prepareDisk(world);
  await world.virtualMachines.createVirtualMachine(webRequest());
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateBlockStorage",
    prepare: prepareImage,
    call: ({ blockStorages }) => blockStorages.createBlockStorage({ name: "new", ...SIZE }),
  },
  {
    rpc: "CreateBlockStorage",
    about: "in the place of a soft-deleted one",
    prepare: prepareDeleted,
    call: ({ blockStorages }) => blockStorages.createBlockStorage({ name: "old", ...SIZE }),
  },
  {
    rpc: "FetchBlockStorage",
    prepare: async (world) => {
      await prepareImage(world);
      for (const { drivers } of world.fakeNodes)
        drivers.volume.sources.set(SOURCE_URL, blankQcow2(GiB));
    },
    call: ({ blockStorages }) =>
      blockStorages.fetchBlockStorage({ name: "new", ...SIZE, sourceUrl: SOURCE_URL }),
    secret: { sourceUrl: SOURCE_URL },
  },
  {
    rpc: "CopyBlockStorage",
    nodeCount: 2,
    about: "to another node",
    prepare: prepareImage,
    call: ({ blockStorages }) =>
      blockStorages.copyBlockStorage({
        name: "new",
        ...SIZE,
        sourceBlockStorage: "base",
        annotations: { [REQUEST_NODE]: "node-2" },
      }),
  },
  {
    rpc: "CopyBlockStorage",
    about: "on its own node",
    prepare: prepareImage,
    call: ({ blockStorages }) =>
      blockStorages.copyBlockStorage({ name: "new", ...SIZE, sourceBlockStorage: "base" }),
  },
  {
    rpc: "UpdateBlockStorage",
    about: "growing one in use",
    prepare: prepareInUse,
    call: ({ blockStorages }) =>
      blockStorages.updateBlockStorage({ name: "root", limitBytes: 20n * GiB }),
  },
  {
    rpc: "UpdateBlockStorage",
    about: "growing one that nobody uses",
    prepare: prepareDisk,
    call: ({ blockStorages }) =>
      blockStorages.updateBlockStorage({ name: "root", limitBytes: 20n * GiB }),
  },
  {
    rpc: "UpdateBlockStorage",
    about: "moving one",
    nodeCount: 2,
    prepare: async ({ blockStorages }) => {
      const annotations = { [REQUEST_NODE]: "node-1" };
      await blockStorages.createBlockStorage({ name: "data", ...SIZE, annotations });
    },
    call: ({ blockStorages }) =>
      blockStorages.updateBlockStorage({ name: "data", annotations: { [REQUEST_NODE]: "node-2" } }),
  },
  {
    rpc: "DeleteBlockStorage",
    prepare: prepareDisk,
    call: ({ blockStorages }) => blockStorages.deleteBlockStorage({ name: "root" }),
  },
  {
    rpc: "PurgeBlockStorage",
    prepare: prepareDeleted,
    call: ({ blockStorages }) => blockStorages.purgeBlockStorage({ name: "old" }),
  },
  {
    rpc: "UndeleteBlockStorage",
    prepare: prepareDeleted,
    call: ({ blockStorages }) => blockStorages.undeleteBlockStorage({ name: "old" }),
  },
  {
    rpc: "SetInuseBlockStorage",
    prepare: prepareDisk,
    call: ({ blockStorages }) => blockStorages.setInuseBlockStorage({ name: "root" }),
  },
  {
    rpc: "SetProtectedBlockStorage",
    prepare: prepareDisk,
    call: ({ blockStorages }) => blockStorages.setProtectedBlockStorage({ name: "root" }),
  },
  {
    rpc: "SetAvailableBlockStorage",
    prepare: prepareDisk,
    call: ({ blockStorages }) => blockStorages.setAvailableBlockStorage({ name: "root" }),
  },
];

export const others: Others = {
  kind: "block_storage",
  sagas: (name) => ({
    use: ({ virtualMachines }) => virtualMachines.createVirtualMachine(webRequest("thief", [name])),
    create: ({ blockStorages }) =>
      blockStorages.createBlockStorage({ name, requestBytes: GiB, limitBytes: GiB }),
    copy: ({ blockStorages }) =>
      blockStorages.copyBlockStorage({
        name: `copy-of-${name}`,
        sourceBlockStorage: name,
        requestBytes: GiB,
        limitBytes: 64n * GiB,
      }),
    label: ({ blockStorages }) =>
      blockStorages.updateBlockStorage({ name, labels: { by: "another" } }),
    grow: ({ blockStorages }) => blockStorages.updateBlockStorage({ name, limitBytes: 50n * GiB }),
    protect: ({ blockStorages }) => blockStorages.setProtectedBlockStorage({ name }),
    register: ({ images }) =>
      images.registerBlockStorage({ imageName: "debian", blockStorageName: name, tags: ["mine"] }),
    unregister: ({ images }) =>
      images.unregisterBlockStorage({ imageName: "debian", blockStorageName: name }),
    free: ({ blockStorages }) => blockStorages.setAvailableBlockStorage({ name }),
    occupy: ({ blockStorages }) => blockStorages.setInuseBlockStorage({ name }),
    "free again": ({ blockStorages }) => blockStorages.setAvailableBlockStorage({ name }),
    delete: ({ blockStorages }) => blockStorages.deleteBlockStorage({ name }),
    undelete: ({ blockStorages }) => blockStorages.undeleteBlockStorage({ name }),
    "delete again": ({ blockStorages }) => blockStorages.deleteBlockStorage({ name }),
    purge: ({ blockStorages }) => blockStorages.purgeBlockStorage({ name }),
  }),
};
