import type {
  BlockStorage,
  CopyBlockStorageRequest,
  CreateBlockStorageRequest,
  FetchBlockStorageRequest,
} from "../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { BlockStorage_BlockStorageState as State } from "../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { invalid } from "../../util/errors.ts";
import { COPY_FROM, FETCH_FROM } from "../annotations.ts";
import { blockStorages } from "../collections.ts";
import type { Api, Call } from "../context.ts";
import { getBlockStorage, throwUnlessIn } from "./block-storage-record.ts";
import { makeBlockStorage } from "./make.ts";
import { ensureCopied, ensureEmpty, ensureFetched, ensureReplicated } from "./volume-steps.ts";

const FETCH_SCHEMES = ["http:", "https:", "file:"];

/** Makes an empty disk. For its errors see `makeBlockStorage`. */
export async function createBlockStorage(
  api: Api,
  call: Call,
  request: CreateBlockStorageRequest,
): Promise<BlockStorage> {
  return await makeBlockStorage(api, call, request, {
    kind: "CreateBlockStorage",
    make: async (tx, place) => ({ path: await tx.run(ensureEmpty, place) }),
  });
}

/** Makes a disk from an image at a URL. @throws also `failed_precondition` for an image that must not be used. */
export async function fetchBlockStorage(
  api: Api,
  call: Call,
  request: FetchBlockStorageRequest,
): Promise<BlockStorage> {
  const { sourceUrl, checksum } = request;
  const url = URL.parse(sourceUrl);
  if (url === null) throw invalid("source_url", `"${sourceUrl}" is no URL`);
  if (!FETCH_SCHEMES.includes(url.protocol)) {
    throw invalid("source_url", `"${url.protocol}" cannot be fetched: use http:, https: or file:`);
  }
  return await makeBlockStorage(api, call, request, {
    kind: "FetchBlockStorage",
    annotations: { [FETCH_FROM]: withoutSecrets(sourceUrl, url) },
    make: async (tx, place) => ({
      path: await tx.run(ensureFetched, { ...place, sourceUrl, checksum }),
    }),
  });
}

/** Whoever may read the disk is not to learn what fetched it: a password, or the signature in a query. */
function withoutSecrets(text: string, { username, password, search, href }: URL): string {
  if (username === "" && password === "" && search === "") return text;
  const shown = new URL(href);
  shown.username = "";
  shown.password = "";
  shown.search = "";
  return shown.href;
}

/** Makes a full copy of another disk, which must not be in use. */
export async function copyBlockStorage(
  api: Api,
  call: Call,
  request: CopyBlockStorageRequest,
): Promise<BlockStorage> {
  const sourceName = request.sourceBlockStorage;
  const find = async () => (await getBlockStorage(api, sourceName)).value;
  return await makeBlockStorage(api, call, request, {
    kind: "CopyBlockStorage",
    keys: [blockStorages.key(sourceName)],
    annotations: { [COPY_FROM]: sourceName },
    check: async (limitBytes) => {
      const source = await find();
      throwUnlessIn(source, [State.AVAILABLE, State.PROTECTED]);
      if (limitBytes < source.limitBytes) {
        throw invalid(
          "limit_bytes",
          `must not be below that of "${sourceName}", ${source.limitBytes}`,
        );
      }
    },
    make: async (tx, place) => {
      const source = await find();
      const path =
        source.nodeName === place.nodeName
          ? await tx.run(ensureCopied, { ...place, sourceId: source.volumeId })
          : await tx.run(ensureReplicated, {
              ...place,
              sourceId: source.volumeId,
              sourceNodeName: source.nodeName,
            });
      return { path };
    },
  });
}
