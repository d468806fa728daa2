import { ImageSchema, ImageService } from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../../provisioning/context.ts";
import { applyImage, deleteImage, withProject } from "./apply.ts";
import { imageAudit } from "./audit.ts";
import { images } from "./collection.ts";
import { generateBlockStorage } from "./generate.ts";
import { onNodeLost } from "./node-lost.ts";
import { registerBlockStorage, tagImage, unregisterBlockStorage, untagImage } from "./register.ts";
import { setImageVisibility, toWireElsewhere } from "./share.ts";

export const image = defineResource({
  word: "image",
  service: ImageService,
  schema: ImageSchema,
  collection: images,
  marksOnly: true,
  quota: { images: 1n },
  givesRoom: ["deleteImage", "unregisterBlockStorage", "untagImage"],
  onNodeLost,
  withProject,
  viewElsewhere: toWireElsewhere,
  audit: imageAudit,
  routes: (api: Api) => ({
    applyImage: (request, call) => applyImage(api, call, request),
    deleteImage: async ({ name }, call) => {
      await deleteImage(api, call, name);
      return {};
    },
    registerBlockStorage: (request, call) => registerBlockStorage(api, call, request),
    unregisterBlockStorage: (request, call) => unregisterBlockStorage(api, call, request),
    setImageVisibility: (request, call) => setImageVisibility(api, call, request),
    generateBlockStorage: (request, call) => generateBlockStorage(api, call, request),
    tagImage: (request, call) => tagImage(api, call, request),
    untagImage: (request, call) => untagImage(api, call, request),
  }),
});
