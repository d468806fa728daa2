import type { RpcCase } from "../../../../test/saga-cases.ts";
import { prepareDisk, prepareImage } from "../../../../test/scenario.ts";

export const rpcCases: readonly RpcCase[] = [
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
];
