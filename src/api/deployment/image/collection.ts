import { protoCollection } from "../../../datastore/collection.ts";
import { ImageSchema } from "../../../gen/n0stack/deployment/v0/image_pb.ts";

export const images = protoCollection("image", ImageSchema, {
  references: {
    block_storage: ({ registeredBlockStorages }) =>
      registeredBlockStorages.map(({ blockStorageName }) => blockStorageName),
  },
});
