import type { Others } from "../../../../test/other-sagas.ts";
import { inProject } from "../../../../test/projects.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import { GiB, prepareDisk, prepareImage, REQUEST_NODE } from "../../../../test/scenario.ts";
import { type World, withHeaders } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";

const SHARED = { name: "debian", visibility: Visibility.PROJECTS, visibleTo: ["acme"] };

/** On the second node, where there is no copy of the base yet. */
function generate({ images }: World, blockStorageName: string) {
  return images.generateBlockStorage({
    imageName: "debian",
    tag: "12",
    blockStorageName,
    requestBytes: GiB,
    limitBytes: 2n * GiB,
    annotations: { [REQUEST_NODE]: "node-2" },
  });
}

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
  {
    rpc: "GenerateBlockStorage",
    nodeCount: 2,
    about: "where there is a copy of the base",
    prepare: async (world) => {
      await prepareImage(world);
      await generate(world, "first");
    },
    call: (world) => generate(world, "new"),
  },
  {
    rpc: "SetImageVisibility",
    prepare: prepareImage,
    call: ({ images }) => images.setImageVisibility(SHARED),
  },
  {
    rpc: "GenerateBlockStorage",
    about: "from an image of another project",
    isOfProjects: true,
    // Only says that somebody has begun to use the image.
    leaves: ["block_storage/", "reference/", "overlay/", "storage/"],
    prepare: async (world) => {
      await prepareImage(world);
      await inProject(world, "acme");
      await world.images.setImageVisibility(SHARED);
    },
    call: (world) => {
      const { images } = withHeaders(world, { [PROJECT_HEADER]: "acme" });
      const size = { requestBytes: GiB, limitBytes: 2n * GiB };
      const names = { imageName: "default/debian", tag: "12", blockStorageName: "new" };
      return images.generateBlockStorage({ ...names, ...size });
    },
  },
  {
    rpc: "CopyBase",
    nodeCount: 2,
    about: "for GenerateBlockStorage",
    leaves: ["replica/"],
    prepare: prepareImage,
    call: (world) => generate(world, "new"),
  },
];

export const others: Others = {
  kind: "image",
  sagas: (name) => ({
    apply: ({ images }) => images.applyImage({ name, labels: { by: "another" } }),
    generate: ({ images }) =>
      images.generateBlockStorage({
        imageName: name,
        tag: "12",
        blockStorageName: "generated",
        requestBytes: GiB,
        limitBytes: 2n * GiB,
      }),
    share: ({ images }) => images.setImageVisibility({ ...SHARED, name }),
    delete: ({ images }) => images.deleteImage({ name }),
  }),
};
