import { create } from "@bufbuild/protobuf";
import {
  type BlockStorage,
  type BlockStorageChunk,
  BlockStorageChunkSchema,
  type ReadBlockStorageRequest,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { virtualMachineBeside } from "../virtual-machine/collection.ts";
import { blockStorages } from "./collection.ts";
import { getBlockStorage, throwUnlessIn } from "./record.ts";
import { openVolume } from "./volume/open-volume.ts";

const READABLE = [State.AVAILABLE, State.IN_USE, State.PROTECTED, State.DELETED];

/** @throws N0Error `not_found`; `failed_precondition` while it is being made or a guest may write to it. */
export async function getReadable(api: Api, ref: Ref): Promise<BlockStorage> {
  const { value } = await getBlockStorage(api, ref);
  throwUnlessIn(ref, value, READABLE);
  const { usedBy, nodeName } = value;
  if (usedBy !== "" && (await api.observed.isActive(nodeName, virtualMachineBeside(ref, usedBy)))) {
    throw new N0Error(
      "failed_precondition",
      `block storage "${ref.name}" is in use by virtual machine "${usedBy}", which is running: shut it down first`,
      { resource: formatRef(ref) },
    );
  }
  return value;
}

/**
 * The block storage as one qcow2 file, from `offset`: first its size and its validator, then its bytes.
 *
 * @throws N0Error as `getReadable`; `out_of_range` for an `offset` past the end; `aborted` if the block storage
 * changes in the meantime, also because a virtual machine was booted on it.
 */
export async function* readBlockStorage(
  api: Api,
  call: Call,
  { name, offset, length }: ReadBlockStorageRequest,
): AsyncGenerator<BlockStorageChunk> {
  const { nodeName, volumeId } = await getReadable(api, refOf(call, blockStorages, name));
  const { volume } = api.agents.clients(nodeName);
  const target = { nodeName, volumeId, volume };
  await using opened = await openVolume(target, { offset, length }, call.signal);
  const { totalBytes, validator } = opened;
  yield create(BlockStorageChunkSchema, { totalBytes, validator });
  for await (const data of opened.data) yield create(BlockStorageChunkSchema, { data });
}
