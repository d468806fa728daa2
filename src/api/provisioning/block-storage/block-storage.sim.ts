import { MiB } from "../../../../test/scenario.ts";
import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { diskSize, labels, mask, onNode } from "../../../../test/sim/fields.ts";
import { IMAGE_URL } from "../../../../test/sim/node.ts";
import type { View } from "../../../../test/sim/view.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { blockStorages } from "./collection.ts";

const { AVAILABLE, DELETED, IN_USE, PROTECTED } = DiskState;

export const calls: Readonly<Record<string, CallKind>> = {
  CreateBlockStorage: call(
    12,
    (view) => ({ name: view.freeDisk(), labels: labels(view), ...diskSize(view), ...onNode(view) }),
    (c, request, options) => c.blockStorages.createBlockStorage(request, options),
  ),
  FetchBlockStorage: call(
    2,
    (view) => ({
      name: view.freeDisk(),
      ...diskSize(view),
      ...onNode(view),
      sourceUrl: view.dice.chance(0.9) ? IMAGE_URL : "http://images.example/none",
    }),
    (c, request, options) => c.blockStorages.fetchBlockStorage(request, options),
  ),
  CopyBlockStorage: call(
    3,
    (view) => {
      const sourceBlockStorage = view.disk(AVAILABLE, PROTECTED);
      const size = view.find(sourceBlockStorage) ?? diskSize(view);
      const { requestBytes, limitBytes } = size;
      return {
        name: view.freeDisk(),
        sourceBlockStorage,
        requestBytes,
        limitBytes,
        ...onNode(view),
      };
    },
    (c, request, options) => c.blockStorages.copyBlockStorage(request, options),
  ),
  UpdateBlockStorage: call(6, updateDisk, (c, request, options) =>
    c.blockStorages.updateBlockStorage(request, options),
  ),
  DeleteBlockStorage: call(
    8,
    (view) => ({ name: view.disk(AVAILABLE) }),
    (c, request, options) => c.blockStorages.deleteBlockStorage(request, options),
  ),
  UndeleteBlockStorage: call(
    2,
    (view) => ({ name: view.disk(DELETED) }),
    (c, request, options) => c.blockStorages.undeleteBlockStorage(request, options),
  ),
  PurgeBlockStorage: call(
    7,
    (view) => ({ name: view.disk(DELETED) }),
    (c, request, options) => c.blockStorages.purgeBlockStorage(request, options),
  ),
  SetAvailableBlockStorage: call(
    2,
    (view) => ({ name: view.disk(IN_USE, PROTECTED) }),
    (c, request, options) => c.blockStorages.setAvailableBlockStorage(request, options),
  ),
  SetInuseBlockStorage: call(
    0.5,
    (view) => ({ name: view.disk(AVAILABLE) }),
    (c, request, options) => c.blockStorages.setInuseBlockStorage(request, options),
  ),
  SetProtectedBlockStorage: call(
    0.5,
    (view) => ({ name: view.disk(AVAILABLE) }),
    (c, request, options) => c.blockStorages.setProtectedBlockStorage(request, options),
  ),
  GetBlockStorage: read(
    3,
    (view) => ({ name: view.disk() }),
    (c, request, options) => c.blockStorages.getBlockStorage(request, options),
    blockStorages,
  ),
};

function updateDisk(view: View) {
  const name = view.disk(AVAILABLE, IN_USE);
  const present = view.find(name);
  if (view.dice.chance(0.2)) return { name, labels: labels(view), updateMask: mask("labels") };
  if (view.dice.chance(0.4)) return { name, ...onNode(view), updateMask: mask("annotations") };
  const grown = BigInt(16 * view.dice.below(4)) * MiB;
  const requestBytes = (present?.requestBytes ?? 16n * MiB) + grown;
  const limitBytes = (present?.limitBytes ?? 16n * MiB) + grown;
  return { name, requestBytes, limitBytes, updateMask: mask("request_bytes", "limit_bytes") };
}
