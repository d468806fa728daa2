import { createHash } from "node:crypto";
import { basename } from "node:path";
import { defined } from "../../util/defined.ts";
import { N0Error } from "../../util/errors.ts";
import { parseChecksum } from "../../util/image-checksum.ts";
import { parseSourceUrl } from "../../util/source-url.ts";
import type { Mark } from "../mark.ts";
import { checkDigest, checkImage } from "./fake-image.ts";
import { type FreeSpace, noFreeSpaceKept } from "./free-space.ts";
import { blankQcow2 } from "./image/blank-qcow2.ts";
import { onPage, type SurveyPage } from "./survey-page.ts";
import type { VolumeDriver, VolumeInfo, VolumeSurvey } from "./volume-driver.ts";
import {
  beyondEnd,
  cannotShrink,
  changedWhileRead,
  checkedSize,
  checkOwner,
  checkVolumeId,
  diskFull,
  isBase,
  isUsedFrom,
  noSource,
  noVolume,
  tooSmall,
  wholeSectors,
} from "./volume-errors.ts";

export interface VolumeCall {
  readonly method: keyof VolumeDriver;
  /** The id of the volume; empty for `list`. */
  readonly id: string;
  readonly signal: AbortSignal;
}

export interface FakeVolumeDriver extends VolumeDriver {
  /**
   * Called before a method does anything. May throw to make it fail, or return `untilAborted(signal)` to make
   * it hang.
   */
  before: (call: VolumeCall) => void | Promise<void>;
  /** Called after a method has done its work. An error here stands for a lost answer. */
  after: (call: VolumeCall) => void | Promise<void>;
  /** The most bytes that all volumes except overlays may have together. Default: no limit. */
  capacityBytes: bigint | undefined;
  /** The space that its disk keeps free. Default: none. */
  space: FreeSpace;
  /** The images that `ensureFetched` finds, by URL. */
  readonly sources: Map<string, Uint8Array>;
  /** A guest writes: the content of the volume changes, and keeps its length. */
  write(id: string): void;
  /** The id of the volume at a path, if there is one. */
  idAt(path: string): string | undefined;
  /** Changes that no method makes: replaces what can be seen of a volume. */
  readonly damage: Map<string, Partial<VolumeSurvey>>;
  /**
   * How far guests have written, by the id of the volume. The guest of any other volume has written nothing.
   */
  readonly writtenTo: Map<string, bigint>;
  /** Removes a file, or puts one there, without the driver. */
  readonly hands: Map<string, VolumeInfo>;
  /** All volumes on the node, by id, as plain data to compare. */
  snapshot(): readonly VolumeInfo[];
}

const VIRTUAL_SIZE_BYTES_MAX = 4n * 1024n ** 4n;
const OVERLAY_BYTES = 196_624n;
const READ_BYTES = 65_536;

/**
 * Keeps volumes in memory, without their contents. Each reads as a blank image of its size; the last byte says
 * how often a guest has written to it or to its bases.
 */
export function newFakeVolumeDriver(): FakeVolumeDriver {
  const volumes = new Map<string, VolumeInfo>();
  const damage = new Map<string, Partial<VolumeSurvey>>();
  /** The number of each volume's making, and how often a guest has written to it. */
  const contents = new Map<string, { readonly making: number; writes: number }>();
  let makings = 0;

  const path = (id: string) => {
    checkVolumeId(id);
    return `/fake/volumes/${id}.qcow2`;
  };

  async function around<T>(call: VolumeCall, act: () => T | Promise<T>): Promise<T> {
    call.signal.throwIfAborted();
    await driver.before(call);
    const result = await act();
    await driver.after(call);
    return result;
  }

  function usedBytes(): bigint {
    return volumes.values().reduce((sum, { actualSizeBytes }) => sum + actualSizeBytes, 0n);
  }

  function overlaysOn(id: string): string[] {
    return [...volumes.values()].filter(({ baseId }) => baseId === id).map((volume) => volume.id);
  }

  function snapshot(): VolumeInfo[] {
    const byId = (a: VolumeInfo, b: VolumeInfo) => (a.id < b.id ? -1 : 1);
    return [...volumes.values()].map((volume) => structuredClone(volume)).sort(byId);
  }

  function present(id: string, orElse: (id: string) => N0Error): VolumeInfo {
    const volume = volumes.get(id);
    if (volume === undefined) throw orElse(id);
    return volume;
  }

  /** The volume to grow; undefined if it has that size already. */
  async function growable(id: string, sizeBytes: bigint): Promise<VolumeInfo | undefined> {
    checkVolumeId(id);
    const size = checkedSize(sizeBytes, VIRTUAL_SIZE_BYTES_MAX);
    const volume = present(id, noVolume);
    if (size === volume.virtualSizeBytes) return undefined;
    if (size < volume.virtualSizeBytes) throw cannotShrink(id, volume.virtualSizeBytes);
    if (overlaysOn(id).length > 0) throw isBase(id, overlaysOn(id));
    await driver.space.check();
    return volume;
  }

  function checkUnused(id: string, offsetBytes: bigint): void {
    if ((driver.writtenTo.get(id) ?? 0n) > offsetBytes) throw isUsedFrom(id, offsetBytes);
  }

  function reserve(addedBytes: bigint): void {
    const { capacityBytes } = driver;
    if (capacityBytes !== undefined && usedBytes() + addedBytes > capacityBytes) throw diskFull();
  }

  /** `check` throws if the volume cannot be made, and returns the base if there is one. */
  async function make(
    call: VolumeCall,
    sizeBytes: bigint,
    mark: Mark,
    check: (size: bigint) => Promise<string | undefined> | string | undefined,
  ): Promise<void> {
    const { id, signal } = call;
    checkVolumeId(id);
    const size = checkedSize(sizeBytes, VIRTUAL_SIZE_BYTES_MAX);
    await around(call, async () => {
      const found = volumes.get(id);
      if (found !== undefined) return checkOwner(id, found.mark, mark);
      await driver.space.check();
      const baseId = await check(size);
      signal.throwIfAborted();
      const actualSizeBytes = baseId === undefined ? size : OVERLAY_BYTES;
      reserve(baseId === undefined ? size : 0n);
      const info = {
        id,
        mark: { ...mark },
        path: path(id),
        virtualSizeBytes: size,
        actualSizeBytes,
      };
      volumes.set(id, baseId === undefined ? info : { ...info, baseId });
      makings += 1;
      contents.set(id, { making: makings, writes: 0 });
    });
  }

  function imageOf(id: string): { readonly image: Uint8Array; readonly validator: string } {
    const { virtualSizeBytes } = present(id, noVolume);
    const hash = createHash("sha256").update(`${virtualSizeBytes}`);
    let writes = 0;
    for (let at: string | undefined = id; at !== undefined; at = volumes.get(at)?.baseId) {
      const content = contents.get(at);
      writes += content?.writes ?? 0;
      hash.update(`\n${at} ${content?.making} ${content?.writes}`);
    }
    const image = blankQcow2(virtualSizeBytes);
    image[image.length - 1] = writes;
    return { image, validator: hash.digest("hex").slice(0, 32) };
  }

  /** The same bytes; throws if the volume changes in the meantime. */
  async function* pieces(id: string, range: Uint8Array, validator: string) {
    for (let at = 0; at < range.length; at += READ_BYTES) {
      if (!volumes.has(id) || imageOf(id).validator !== validator) throw changedWhileRead(id);
      yield range.subarray(at, at + READ_BYTES);
    }
  }

  function survey(page: SurveyPage | undefined): readonly VolumeSurvey[] {
    const whole = snapshot().map((volume) => ({ ...surveyOf(volume), ...damage.get(volume.id) }));
    const halves = [...damage]
      .filter(([id]) => !volumes.has(id))
      .map(([id, half]) => ({ ...NOTHING, id, path: path(id), ...half }));
    const all = [...whole, ...halves].sort((a, b) => (a.id < b.id ? -1 : 1));
    return page === undefined ? all : onPage(all, ({ id }) => id, page);
  }

  const driver: FakeVolumeDriver = {
    damage,
    hands: volumes,
    before: () => {},
    after: () => {},
    capacityBytes: undefined,
    space: noFreeSpaceKept,
    writtenTo: new Map(),
    sources: new Map(),
    write(id) {
      const content = contents.get(id);
      if (content === undefined) throw noVolume(id);
      content.writes += 1;
    },
    idAt(at) {
      const id = basename(at, ".qcow2");
      return volumes.get(id)?.path === at ? id : undefined;
    },
    snapshot,

    ensureEmpty: (id, sizeBytes, mark, signal) =>
      make({ method: "ensureEmpty", id, signal }, sizeBytes, mark, () => undefined),

    async ensureFetched(id, { url, checksum }, sizeBytes, mark, { signal, onProgress }) {
      parseSourceUrl(url);
      const wanted = checksum === undefined ? undefined : parseChecksum(checksum);
      await make({ method: "ensureFetched", id, signal }, sizeBytes, mark, (size) => {
        const bytes = driver.sources.get(url);
        if (bytes === undefined) {
          throw new N0Error("unavailable", "source_url: does not answer", { field: "source_url" });
        }
        checkDigest(bytes, wanted);
        checkImage(bytes, size, VIRTUAL_SIZE_BYTES_MAX);
        onProgress?.({ doneBytes: BigInt(bytes.length), totalBytes: BigInt(bytes.length) });
        return undefined;
      });
    },

    ensureOverlay: (id, baseId, sizeBytes, mark, signal) =>
      make({ method: "ensureOverlay", id, signal }, sizeBytes, mark, (size) => {
        const { virtualSizeBytes } = present(baseId, noSource);
        if (size < virtualSizeBytes) throw tooSmall("the base", virtualSizeBytes, size);
        return baseId;
      }),

    ensureCopy: (id, sourceId, sizeBytes, mark, { signal, onProgress }) =>
      make({ method: "ensureCopy", id, signal }, sizeBytes, mark, (size) => {
        const { virtualSizeBytes } = present(sourceId, noSource);
        if (size < virtualSizeBytes) throw tooSmall("the source", virtualSizeBytes, size);
        onProgress?.({ doneBytes: virtualSizeBytes, totalBytes: virtualSizeBytes });
        return undefined;
      }),

    ensureReceived: (id, bytes, sizeBytes, mark, { signal, onProgress }) =>
      make({ method: "ensureReceived", id, signal }, sizeBytes, mark, async (size) => {
        const chunks: Uint8Array[] = [];
        let doneBytes = 0n;
        for await (const chunk of bytes) {
          signal.throwIfAborted();
          chunks.push(chunk);
          doneBytes += BigInt(chunk.length);
          onProgress?.({ doneBytes });
        }
        checkImage(Buffer.concat(chunks), size, VIRTUAL_SIZE_BYTES_MAX);
        return undefined;
      }),

    async checkSize(id, sizeBytes, signal) {
      await around(
        { method: "checkSize", id, signal },
        async () => void (await growable(id, sizeBytes)),
      );
    },

    async ensureSize(id, sizeBytes, signal) {
      await around({ method: "ensureSize", id, signal }, async () => {
        const volume = await growable(id, sizeBytes);
        if (volume === undefined) return;
        const size = checkedSize(sizeBytes, VIRTUAL_SIZE_BYTES_MAX);
        const { virtualSizeBytes, baseId, actualSizeBytes } = volume;
        const addedBytes = baseId === undefined ? size - virtualSizeBytes : 0n;
        reserve(addedBytes);
        const actual = actualSizeBytes + addedBytes;
        volumes.set(id, { ...volume, virtualSizeBytes: size, actualSizeBytes: actual });
      });
    },

    async undoGrowth(id, { fromBytes, toBytes }, signal) {
      checkVolumeId(id);
      await around({ method: "undoGrowth", id, signal }, () => {
        const volume = volumes.get(id);
        if (volume?.virtualSizeBytes !== wholeSectors(toBytes)) return;
        checkUnused(id, fromBytes);
        const size = wholeSectors(fromBytes);
        const goneBytes = volume.baseId === undefined ? volume.virtualSizeBytes - size : 0n;
        const actual = volume.actualSizeBytes - goneBytes;
        volumes.set(id, { ...volume, virtualSizeBytes: size, actualSizeBytes: actual });
      });
    },

    async checkUnusedFrom(id, offsetBytes, signal) {
      checkVolumeId(id);
      await around({ method: "checkUnusedFrom", id, signal }, () => checkUnused(id, offsetBytes));
    },

    async checkRoom(signal) {
      await around({ method: "checkRoom", id: "", signal }, () => driver.space.check());
    },

    async checkAbsent(id, removedBefore, signal) {
      checkVolumeId(id);
      await around({ method: "checkAbsent", id, signal }, () => {
        const left = overlaysOn(id).filter((one) => !removedBefore.includes(one));
        if (left.length > 0) throw isBase(id, left);
      });
    },

    async ensureAbsent(id, signal) {
      checkVolumeId(id);
      await around({ method: "ensureAbsent", id, signal }, () => {
        if (overlaysOn(id).length > 0) throw isBase(id, overlaysOn(id));
        volumes.delete(id);
        damage.delete(id);
      });
    },

    async find(id, signal) {
      checkVolumeId(id);
      return await around({ method: "find", id, signal }, () => structuredClone(volumes.get(id)));
    },

    async backing(id, signal) {
      checkVolumeId(id);
      return await around({ method: "backing", id, signal }, () => {
        const paths: string[] = [];
        for (let at = present(id, noSource).baseId; at !== undefined; ) {
          paths.push(path(at));
          at = present(at, noSource).baseId;
        }
        return paths;
      });
    },

    list: (signal) => around({ method: "list", id: "", signal }, snapshot),

    survey: (signal, page) => around({ method: "survey", id: "", signal }, () => survey(page)),

    ensureMarked: (id, wanted, how, signal) =>
      around({ method: "ensureMarked", id, signal }, () => {
        checkVolumeId(id);
        const { baseId: _, ...volume } = present(id, noVolume);
        const { mark: __, sidecar = "whole", ...rest } = damage.get(id) ?? {};
        const isTaken = sidecar !== "whole" || volume.mark.owner === how.takenFrom;
        if (!isTaken) checkOwner(id, volume.mark, wanted);
        damage.set(id, rest);
        const mark = isTaken ? { ...wanted } : volume.mark;
        volumes.set(id, {
          ...volume,
          mark,
          ...defined({ baseId: how.baseId }),
        });
      }),

    path,

    async read(id, { offset, length }, signal) {
      checkVolumeId(id);
      return await around({ method: "read", id, signal }, () => {
        const { image, validator } = imageOf(id);
        const totalBytes = BigInt(image.length);
        if (offset > totalBytes) throw beyondEnd(id, offset, totalBytes);
        const end = length === undefined ? undefined : Number(offset + length);
        const range = image.subarray(Number(offset), end);
        return { totalBytes, validator, bytes: pieces(id, range, validator) };
      });
    },
  };
  return driver;
}

const NOTHING = {
  mark: undefined,
  hasFile: false,
  sidecar: "absent",
  virtualSizeBytes: 0n,
  actualSizeBytes: 0n,
  isDamaged: false,
  partialCount: 0,
} as const;

function surveyOf(volume: VolumeInfo): VolumeSurvey {
  const backing = defined({ backing: volume.baseId });
  return { ...NOTHING, ...volume, hasFile: true, sidecar: "whole", ...backing };
}
