import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BlockStorageSchema } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { BLOCK_STORAGE_URL } from "../../core/annotations.ts";
import { blockStorages } from "./collection.ts";

test("a record of a version before no longer tells where its file lies on the node", () => {
  const path = "file:///srv/n0core/volumes/disk.0123456789ab.qcow2";
  const annotations = { mine: "yes", [BLOCK_STORAGE_URL]: path };
  const before = create(BlockStorageSchema, { volumeId: "disk.0123456789ab", annotations });
  const read = blockStorages.decode(toBinary(BlockStorageSchema, before));
  expect(read.annotations).toEqual({
    mine: "yes",
    [BLOCK_STORAGE_URL]: "file:///disk.0123456789ab.qcow2",
  });
  const pending = create(BlockStorageSchema, { annotations: { mine: "yes" } });
  expect(blockStorages.decode(toBinary(BlockStorageSchema, pending))).toEqual(pending);
});
