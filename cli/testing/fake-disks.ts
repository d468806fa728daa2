import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { BlockStorage } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  BlockStorageSchema,
  BlockStorageService,
  BlockStorage_BlockStorageState as State,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { parseSourceUrl } from "../../src/util/source-url.ts";
import type { Collection } from "./collection.ts";
import { newCollection, refuse } from "./collection.ts";

export interface FakeDisks {
  readonly disks: Collection<BlockStorage>;
  /** What ReadBlockStorage sends of each, by name. */
  readonly contents: Map<string, Uint8Array>;
  readonly reads: FakeReads;
  /** A disk under a new name, or under that of a deleted one, which it replaces. */
  make(fields: DiskFields): BlockStorage;
  /** @throws ConnectError FailedPrecondition unless it is in one of `from`. */
  move(name: string, from: readonly State[], to: State, usedBy?: string): BlockStorage;
  register(router: ConnectRouter): void;
}

/** How the server fails or changes while it sends a disk. */
export interface FakeReads {
  /** Is handed each message before it is sent, with the offset of its data; undefined ends the stream. */
  alter: (
    chunk: FakeChunk,
    offset: number,
  ) => FakeChunk | undefined | Promise<FakeChunk | undefined>;
}

export interface FakeChunk {
  readonly totalBytes?: bigint;
  readonly validator?: string;
  readonly data?: Uint8Array;
}

interface DiskFields {
  readonly name: string;
  readonly annotations: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly requestBytes: bigint;
  readonly limitBytes: bigint;
}

const CHUNK_BYTES = 64 << 10;

export function newFakeDisks(): FakeDisks {
  const disks = newCollection<BlockStorage>("block storage");
  const contents = new Map<string, Uint8Array>();
  const fake: FakeDisks = {
    disks,
    contents,
    reads: { alter: (chunk) => chunk },
    make({ name, annotations, labels = {}, requestBytes, limitBytes }) {
      if (limitBytes < requestBytes) {
        throw new ConnectError("limit_bytes: is below request_bytes", Code.InvalidArgument);
      }
      const isGone = disks.find(name)?.state === State.DELETED;
      const init = { name, annotations, labels, requestBytes, limitBytes, nodeName: "n1" };
      const disk = create(BlockStorageSchema, { ...init, state: State.AVAILABLE });
      return isGone ? disks.put(disk) : disks.create(disk);
    },
    move(name, from, to, usedBy = "") {
      const disk = disks.get(name);
      if (!from.includes(disk.state)) refuse(`block storage "${name}" is in state ${disk.state}`);
      return disks.put({ ...disk, state: to, usedBy });
    },
    register: (router) => registerDisks(router, fake),
  };
  return fake;
}

/** What is sent of a disk, each message with the offset of its data. */
function* chunksOf(
  volumeId: string,
  data: Uint8Array,
  offset: bigint,
): Generator<[number, FakeChunk]> {
  const totalBytes = BigInt(data.length);
  if (offset > totalBytes) {
    throw new ConnectError(`offset: is ${offset}, but the disk has ${totalBytes}`, Code.OutOfRange);
  }
  const validator = createHash("sha256").update(`${volumeId}\n`).update(data).digest("hex");
  yield [Number(offset), { totalBytes, validator }];
  for (let at = Number(offset); at < data.length; at += CHUNK_BYTES) {
    yield [at, { data: data.subarray(at, at + CHUNK_BYTES) }];
  }
}

function registerDisks(router: ConnectRouter, fake: FakeDisks): void {
  const { disks, contents, reads, make, move } = fake;
  router.service(BlockStorageService, {
    listBlockStorages(request) {
      const { records, nextPageToken } = disks.page(request);
      return { blockStorages: records, nextPageToken };
    },
    getBlockStorage: ({ name }) => disks.get(name),
    createBlockStorage: make,
    fetchBlockStorage(request) {
      try {
        parseSourceUrl(request.sourceUrl);
      } catch (reason) {
        throw ConnectError.from(reason, Code.InvalidArgument);
      }
      return make(request);
    },
    copyBlockStorage(request) {
      disks.get(request.sourceBlockStorage);
      return make(request);
    },
    updateBlockStorage(request) {
      const disk = disks.get(request.name);
      if (request.limitBytes !== 0n && request.limitBytes < disk.limitBytes) {
        refuse(`block storage "${request.name}" cannot shrink`);
      }
      const labels = Object.keys(request.labels).length > 0 ? request.labels : disk.labels;
      return disks.put({ ...disk, labels, limitBytes: request.limitBytes || disk.limitBytes });
    },
    deleteBlockStorage: ({ name }) => move(name, [State.AVAILABLE], State.DELETED),
    undeleteBlockStorage: ({ name }) => move(name, [State.DELETED], State.AVAILABLE),
    setAvailableBlockStorage: ({ name }) =>
      move(name, [State.AVAILABLE, State.PROTECTED], State.AVAILABLE),
    setProtectedBlockStorage: ({ name }) =>
      move(name, [State.AVAILABLE, State.PROTECTED], State.PROTECTED),
    purgeBlockStorage({ name }) {
      move(name, [State.DELETED], State.DELETED);
      disks.delete(name);
      return {};
    },
    downloadBlockStorage({ name }) {
      disks.get(name);
      return { downloadUrl: `http://localhost:20180/download/${name}` };
    },
    async *readBlockStorage({ name, offset }) {
      const { volumeId } = disks.get(name);
      const data = contents.get(name) ?? new Uint8Array();
      for (const [at, chunk] of chunksOf(volumeId, data, offset)) {
        if (contents.get(name) !== data && contents.has(name)) {
          throw new ConnectError(`block storage "${name}" changed`, Code.Aborted);
        }
        const altered = await reads.alter(chunk, at);
        if (altered === undefined) return;
        yield altered;
      }
    },
    async *watchBlockStorages({ name }, { signal }) {
      for await (const change of disks.watch(name, signal)) {
        if (change === undefined) yield { synced: true };
        else yield typeof change === "string" ? { deletedName: change } : { blockStorage: change };
      }
    },
  });
}
