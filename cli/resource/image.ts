import { ImageService } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { cell } from "../table.ts";
import { KIND } from "./kinds.ts";
import { type Resource, transactionColumn } from "./resource.ts";

export const image: Resource = {
  ...KIND.image,
  service: ImageService,
  columns: [
    cell("name"),
    cell("labels"),
    cell("tags"),
    transactionColumn,
    { ...cell("registered_block_storages.block_storage_name"), isWide: true },
  ],
};
