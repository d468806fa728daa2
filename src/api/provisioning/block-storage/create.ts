import {
  type BlockStorage,
  BlockStorageService,
  type CopyBlockStorageRequest,
  type CreateBlockStorageRequest,
  type FetchBlockStorageRequest,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { invalid } from "../../../util/errors.ts";
import { isSameRef } from "../../../util/ref.ts";
import { parseSourceUrl, withoutSecrets } from "../../../util/source-url.ts";
import { COPY_FROM, FETCH_FROM } from "../../core/annotations.ts";
import type { Call } from "../../core/context.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { blockStorages } from "./collection.ts";
import { makeBlockStorage } from "./make.ts";
import { getBlockStorage, throwUnlessIn } from "./record.ts";
import {
  ensureCopied,
  ensureEmpty,
  ensureFetched,
  ensureReplicated,
} from "./volume/volume-steps.ts";

/** Makes an empty block storage. For its errors see `makeBlockStorage`. */
export async function createBlockStorage(
  api: Api,
  call: Call,
  request: CreateBlockStorageRequest,
): Promise<BlockStorage> {
  return await makeBlockStorage(api, call, request, {
    method: BlockStorageService.method.createBlockStorage,
    make: async (tx, place) => {
      await tx.run(ensureEmpty, place);
      return undefined;
    },
  });
}

/**
 * Makes a block storage from an image at a URL. @throws also `failed_precondition` for an image that must not
 * be used.
 */
export async function fetchBlockStorage(
  api: Api,
  call: Call,
  request: FetchBlockStorageRequest,
): Promise<BlockStorage> {
  const { sourceUrl, checksum } = request;
  const shownUrl = withoutSecrets(parseSourceUrl(sourceUrl));
  return await makeBlockStorage(api, call, request, {
    method: BlockStorageService.method.fetchBlockStorage,
    annotations: { [FETCH_FROM]: shownUrl },
    make: async (tx, place) => {
      await tx.run(ensureFetched, { ...place, shownUrl, checksum }, { sourceUrl });
      return undefined;
    },
  });
}

/** Makes a full copy of another block storage, which must not be in use. */
export async function copyBlockStorage(
  api: Api,
  call: Call,
  request: CopyBlockStorageRequest,
): Promise<BlockStorage> {
  const source = refOf(call, blockStorages, request.sourceBlockStorage);
  const { name: sourceName } = source;
  const find = async () => (await getBlockStorage(api, source)).value;
  return await makeBlockStorage(api, call, request, {
    method: BlockStorageService.method.copyBlockStorage,
    keys: [blockStorages.key(source)],
    annotations: { [COPY_FROM]: sourceName },
    check: async (limitBytes) => {
      const found = await find();
      if (isSameRef(source, refOf(call, blockStorages, request.name))) {
        throw invalid("source_block_storage", "must be another block storage");
      }
      throwUnlessIn(source, found, [State.AVAILABLE, State.PROTECTED]);
      if (limitBytes < found.limitBytes) {
        throw invalid(
          "limit_bytes",
          `must not be below that of "${sourceName}", ${found.limitBytes}`,
        );
      }
    },
    make: async (tx, place) => {
      const { nodeName: sourceNodeName, volumeId: sourceId } = await find();
      if (sourceNodeName === place.nodeName) await tx.run(ensureCopied, { ...place, sourceId });
      else await tx.run(ensureReplicated, { ...place, sourceId, sourceNodeName });
      return undefined;
    },
  });
}
