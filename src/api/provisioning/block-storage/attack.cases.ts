import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { errorOf } from "../../../../test/attack/clients.ts";
import { type Examples, MIB } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  CreateBlockStorage: { name: "a", requestBytes: MIB, limitBytes: MIB },
  CopyBlockStorage: { name: "b", sourceBlockStorage: "a", requestBytes: MIB, limitBytes: MIB },
  FetchBlockStorage: {
    name: "b",
    sourceUrl: "http://127.0.0.1:1/x",
    requestBytes: MIB,
    limitBytes: MIB,
  },
  UpdateBlockStorage: { name: "a", limitBytes: String(2 << 20), updateMask: "limitBytes" },
  DeleteBlockStorage: { name: "a" },
  UndeleteBlockStorage: { name: "a" },
  PurgeBlockStorage: { name: "a" },
  SetProtectedBlockStorage: { name: "a" },
  SetAvailableBlockStorage: { name: "a" },
  ReadBlockStorage: { name: "a" },
  DownloadBlockStorage: { name: "a" },
};

export const removeAll: RemoveAll = async ({ blockStorages }, remove) => {
  for (const { name } of (await blockStorages.listBlockStorages({})).blockStorages) {
    await errorOf(blockStorages.setAvailableBlockStorage({ name }));
    await errorOf(blockStorages.deleteBlockStorage({ name }));
    await remove(`block storage ${name}`, blockStorages.purgeBlockStorage({ name }));
  }
};
