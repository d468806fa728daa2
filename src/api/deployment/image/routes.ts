import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type Image,
  type ImageService,
  ListImagesResponseSchema,
} from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import type { Api } from "../../core/context.ts";
import { listPage } from "../../core/read/list.ts";
import { watchObjects } from "../../core/read/watch.ts";
import { applyImage, deleteImage } from "./apply.ts";
import { images } from "./collection.ts";
import { generateBlockStorage } from "./generate.ts";
import { getImage } from "./image-record.ts";
import { registerBlockStorage, tagImage, unregisterBlockStorage, untagImage } from "./register.ts";

export function imageRoutes(api: Api): ServiceImpl<typeof ImageService> {
  return {
    async listImages(request) {
      const { objects, nextPageToken } = await listPage(api.records, images, request);
      return create(ListImagesResponseSchema, { images: objects, nextPageToken });
    },
    getImage: ({ name }) => getImage(api, name),
    applyImage: (request, call) => applyImage(api, call, request),
    deleteImage: async ({ name }, call) => {
      await deleteImage(api, call, name);
      return {};
    },
    registerBlockStorage: (request, call) => registerBlockStorage(api, call, request),
    unregisterBlockStorage: (request, call) => unregisterBlockStorage(api, call, request),
    generateBlockStorage: (request, call) => generateBlockStorage(api, call, request),
    tagImage: (request, call) => tagImage(api, call, request),
    untagImage: (request, call) => untagImage(api, call, request),
    async *watchImages({ name }, { signal }) {
      const seen = async (object: Image) => object;
      for await (const change of watchObjects(api, images, name, seen, signal)) {
        if (change.kind === "put") yield { image: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}
