import { create } from "@bufbuild/protobuf";
import {
  BlockStorageSchema,
  BlockStorageService,
  DownloadBlockStorageResponseSchema,
  BlockStorage_BlockStorageState as State,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { linkCallerOf, peerOfCall } from "../../core/asker.ts";
import { defineResource } from "../../core/resource/resource.ts";
import { refOf } from "../../core/scope.ts";
import type { Api } from "../context.ts";
import { blockStorageAudit } from "./audit.ts";
import { blockStorages, overlays, replicas } from "./collection.ts";
import { copyBlockStorage, createBlockStorage, fetchBlockStorage } from "./create.ts";
import { forgetBlockStorage, purgeBlockStorage } from "./purge.ts";
import { getReadable, readBlockStorage } from "./read.ts";
import { blockStorageSteps, toWire } from "./record.ts";
import { forgetVolume } from "./removal.ts";
import * as states from "./states.ts";
import { updateBlockStorage } from "./update.ts";
import * as grow from "./volume/grow-steps.ts";
import { recordOverlay } from "./volume/overlay-step.ts";
import * as volumes from "./volume/volume-steps.ts";
import { withProject } from "./with-project.ts";

export const blockStorage = defineResource({
  word: "block storage",
  service: BlockStorageService,
  schema: BlockStorageSchema,
  collection: blockStorages,
  records: [replicas, overlays],
  pending: State.PENDING,
  quota: { block_storages: 1n },
  withProject,
  givesRoom: ["deleteBlockStorage", "purgeBlockStorage"],
  steps: {
    steps: [
      blockStorageSteps.put,
      volumes.ensureEmpty,
      volumes.ensureOverlay,
      volumes.ensureFetched,
      volumes.ensureCopied,
      volumes.ensureReplicated,
      recordOverlay,
      grow.growVolume,
      grow.growDomainDisk,
    ],
    retriables: [
      volumes.removeVolumeLater,
      volumes.markVolumeLater,
      forgetVolume,
      forgetBlockStorage,
    ],
    formerRetriables: [blockStorageSteps.settle, grow.growVolumeLater, grow.growDomainDiskLater],
  },
  view: toWire,
  touches: (api: Api) => (touch) => api.progress.onChange(touch),
  audit: blockStorageAudit,
  routes: (api: Api) => ({
    createBlockStorage: (request, call) => createBlockStorage(api, call, request),
    fetchBlockStorage: (request, call) => fetchBlockStorage(api, call, request),
    copyBlockStorage: (request, call) => copyBlockStorage(api, call, request),
    updateBlockStorage: (request, call) => updateBlockStorage(api, call, request),
    deleteBlockStorage: ({ name }, call) => states.changeState(api, call, name, states.DELETE),
    undeleteBlockStorage: ({ name }, call) => states.changeState(api, call, name, states.UNDELETE),
    setInuseBlockStorage: ({ name }, call) =>
      states.changeState(api, call, name, states.SET_IN_USE),
    setAvailableBlockStorage: ({ name }, call) =>
      states.changeState(api, call, name, states.SET_AVAILABLE),
    setProtectedBlockStorage: ({ name }, call) =>
      states.changeState(api, call, name, states.SET_PROTECTED),
    purgeBlockStorage: async ({ name }, call) => {
      await purgeBlockStorage(api, call, name);
      return {};
    },
    async downloadBlockStorage({ name }, call) {
      const ref = refOf(call, blockStorages, name);
      const { volumeId } = await getReadable(api, ref);
      const downloadUrl = await api.links.downloadUrl(
        ref,
        volumeId,
        peerOfCall(call),
        linkCallerOf(call),
      );
      return create(DownloadBlockStorageResponseSchema, { downloadUrl });
    },
    readBlockStorage: (request, call) => readBlockStorage(api, call, request),
  }),
});
