import { clone } from "@bufbuild/protobuf";
import {
  type BlockStorage,
  BlockStorageSchema,
  BlockStorageService,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  BLOCK_STORAGE_URL,
  COPY_FROM,
  FETCH_FROM,
  REQUEST_NODE_OF_BLOCK_STORAGE,
} from "../../../util/annotation-keys.ts";
import { formatBytes } from "../../../util/bytes.ts";
import { images } from "../../deployment/image/collection.ts";
import { isRegistered } from "../../deployment/image/record.ts";
import { blockStorages } from "../../provisioning/block-storage/collection.ts";
import { type Change, isSameTexts, type Kept, type Undo, type Undoing, wordOf } from "./change.ts";
import { type Draft, draft } from "./draft.ts";

const { method } = BlockStorageService;
const kind = blockStorages.kind;

export const blockStorageUndoing: Undoing<typeof BlockStorageSchema> = {
  of: blockStorages,
  schema: BlockStorageSchema,
  word: "block storage",

  plain(disk) {
    const copy = clone(BlockStorageSchema, disk);
    const isDeleted = disk.state === State.DELETED;
    copy.state = isDeleted ? State.DELETED : State.BLOCK_STORAGE_UNSPECIFIED;
    for (const field of ["transactionId", "usedBy", "project"] as const) copy[field] = "";
    copy.progressDoneBytes = 0n;
    copy.progressTotalBytes = 0n;
    return copy;
  },

  remove(change, after, undo) {
    const { name } = change;
    undo.lose(`block storage "${name}" (${formatBytes(after.limitBytes)})`);
    const purge = draft(kind, method.purgeBlockStorage, name, { name });
    const remove = draft(kind, method.deleteBlockStorage, name, { name });
    const state = stateOf(change, "after", undo);
    if (state === State.DELETED) return [purge];
    return [...toAvailable(name, state), remove, purge];
  },

  make({ name }, _before, undo) {
    undo.refuse(`block storage "${name}" was purged, and its data is gone`);
    return [];
  },

  restore(change, undo) {
    const { name, after, present } = change;
    const [was, is] = [stateOf(change, "before", undo), stateOf(change, "after", undo)];
    const drafts = updateOf(change);
    if (was === is) return drafts;
    if (present.state !== after.state) {
      undo.refuse(`block storage "${name}" is ${wordOf(State, present.state)} now`);
    }
    return [...toAvailable(name, is), ...drafts, ...fromAvailable(name, was)];
  },

  restored(copy, before) {
    const asked = copy.annotations[REQUEST_NODE_OF_BLOCK_STORAGE];
    const stays = asked === undefined ? {} : { [REQUEST_NODE_OF_BLOCK_STORAGE]: asked };
    copy.annotations = { ...stays, ...before.annotations };
    copy.labels = { ...before.labels };
    copy.requestBytes = before.requestBytes;
    copy.state = before.state === State.DELETED ? State.DELETED : State.BLOCK_STORAGE_UNSPECIFIED;
  },

  hindrance(before, after) {
    if (before.nodeName !== after.nodeName) {
      return `was moved from node "${before.nodeName}" to "${after.nodeName}": move it back by an update`;
    }
    if (before.volumeId !== after.volumeId) {
      return "was made in the place of a deleted one, whose data is gone";
    }
    if (before.limitBytes === after.limitBytes) return undefined;
    return `has grown to ${formatBytes(after.limitBytes)}, and no block storage can shrink`;
  },
};

/** The state that a user has given it by hand. What uses it gives the other states, and takes them back. */
function stateOf(change: Change<BlockStorage>, when: "before" | "after", undo: Undo): State {
  const disk = change[when];
  const isInImage = undo
    .changesOf(images)
    .some((image) => image[when] !== undefined && isRegistered(image[when], change.name));
  if (disk === undefined || disk.usedBy !== "") return State.AVAILABLE;
  return disk.state === State.PROTECTED && isInImage ? State.AVAILABLE : disk.state;
}

function toAvailable(name: string, state: State): Draft[] {
  if (state === State.DELETED) return [draft(kind, method.undeleteBlockStorage, name, { name })];
  if (state === State.AVAILABLE) return [];
  return [draft(kind, method.setAvailableBlockStorage, name, { name })];
}

function fromAvailable(name: string, state: State): Draft[] {
  switch (state) {
    case State.DELETED:
      return [draft(kind, method.deleteBlockStorage, name, { name })];
    case State.IN_USE:
      return [draft(kind, method.setInuseBlockStorage, name, { name })];
    case State.PROTECTED:
      return [draft(kind, method.setProtectedBlockStorage, name, { name })];
    default:
      return [];
  }
}

function updateOf({ name, before, after }: Kept<BlockStorage>): Draft[] {
  const paths = [
    ...(isSameTexts(before.labels, after.labels) ? [] : ["labels"]),
    ...(isSameTexts(before.annotations, after.annotations) ? [] : ["annotations"]),
    ...(before.requestBytes === after.requestBytes ? [] : ["request_bytes"]),
  ];
  if (paths.length === 0) return [];
  const { labels, requestBytes } = before;
  const annotations = { ...before.annotations };
  for (const key of [BLOCK_STORAGE_URL, COPY_FROM, FETCH_FROM]) delete annotations[key];
  const request = { name, labels, annotations, requestBytes, updateMask: { paths } };
  return [draft(kind, method.updateBlockStorage, name, request)];
}
