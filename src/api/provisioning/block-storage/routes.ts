import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type BlockStorage,
  type BlockStorageService,
  DownloadBlockStorageResponseSchema,
  ListBlockStoragesResponseSchema,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { peerOfCall } from "../../core/asker.ts";
import type { Api } from "../../core/context.ts";
import { listPage } from "../../core/read/list.ts";
import { watchObjects } from "../../core/read/watch.ts";
import { getBlockStorage, toWire } from "./block-storage-record.ts";
import { blockStorages } from "./collection.ts";
import { copyBlockStorage, createBlockStorage, fetchBlockStorage } from "./create.ts";
import { purgeBlockStorage } from "./purge.ts";
import { getReadable, readBlockStorage } from "./read.ts";
import {
  changeState,
  DELETE,
  SET_AVAILABLE,
  SET_IN_USE,
  SET_PROTECTED,
  UNDELETE,
} from "./states.ts";
import { updateBlockStorage } from "./update.ts";

export function blockStorageRoutes(api: Api): ServiceImpl<typeof BlockStorageService> {
  return {
    createBlockStorage: (request, call) => createBlockStorage(api, call, request),
    fetchBlockStorage: (request, call) => fetchBlockStorage(api, call, request),
    copyBlockStorage: (request, call) => copyBlockStorage(api, call, request),
    async listBlockStorages(request) {
      const { objects, nextPageToken } = await listPage(api.records, blockStorages, request);
      const seen = objects.map((object) => toWire(api, object));
      return create(ListBlockStoragesResponseSchema, { blockStorages: seen, nextPageToken });
    },
    getBlockStorage: async ({ name }) => toWire(api, (await getBlockStorage(api, name)).value),
    updateBlockStorage: (request, call) => updateBlockStorage(api, call, request),
    deleteBlockStorage: ({ name }, call) => changeState(api, call, name, DELETE),
    undeleteBlockStorage: ({ name }, call) => changeState(api, call, name, UNDELETE),
    setInuseBlockStorage: ({ name }, call) => changeState(api, call, name, SET_IN_USE),
    setAvailableBlockStorage: ({ name }, call) => changeState(api, call, name, SET_AVAILABLE),
    setProtectedBlockStorage: ({ name }, call) => changeState(api, call, name, SET_PROTECTED),
    purgeBlockStorage: async ({ name }, call) => {
      await purgeBlockStorage(api, call, name);
      return {};
    },
    async downloadBlockStorage({ name }, call) {
      const { volumeId } = await getReadable(api, name);
      const downloadUrl = api.links.downloadUrl(name, volumeId, peerOfCall(call));
      return create(DownloadBlockStorageResponseSchema, { downloadUrl });
    },
    readBlockStorage: (request, call) => readBlockStorage(api, call, request),
    async *watchBlockStorages({ name }, { signal }) {
      const seen = async (object: BlockStorage) => toWire(api, object);
      const touches = (touch: (name: string) => void) => api.progress.onChange(touch);
      for await (const change of watchObjects(
        api,
        blockStorages,
        name,
        seen,
        signal,
        [],
        touches,
      )) {
        if (change.kind === "put") yield { blockStorage: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}
