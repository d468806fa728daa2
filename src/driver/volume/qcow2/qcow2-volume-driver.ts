import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { type Clock, systemClock } from "../../../util/clock.ts";
import type { N0Error } from "../../../util/errors.ts";
import { parseChecksum } from "../../../util/image-checksum.ts";
import { type Random, systemRandom } from "../../../util/random.ts";
import { parseSourceUrl } from "../../../util/source-url.ts";
import type { WebProxies } from "../../../util/web-proxies.ts";
import { openBeforeCopy } from "../../file/base-file.ts";
import { type FreeSpace, noFreeSpaceKept } from "../free-space.ts";
import { guarded } from "../guarded.ts";
import { sparseQcow2 } from "../image/blank-qcow2.ts";
import { newInspector } from "../image/inspector.ts";
import type { VolumeDriver, VolumeInfo } from "../volume-driver.ts";
import {
  beyondEnd,
  cannotShrink,
  changedWhileRead,
  checkedSize,
  checkVolumeId,
  damaged,
  isBase,
  isUsedFrom,
  noSource,
  noVolume,
  tooSmall,
  wholeSectors,
} from "../volume-errors.ts";
import { newSourceAddresses } from "../web/source-addresses.ts";
import { backingFiles } from "./backing.ts";
import { newBaseIndex, volumeIds } from "./base-index.ts";
import { newExports } from "./exports.ts";
import { readEach, readRange, writeSparse } from "./files.ts";
import { newForeignImages } from "./foreign-images.ts";
import { importImage, portion } from "./import-image.ts";
import { newLayout, volumeFileName } from "./layout.ts";
import { newQemuImg, QEMU_IMG_TIMEOUTS, type QemuImgTimeouts } from "./qemu-img.ts";
import { flattenedFile, ownFile } from "./reading.ts";
import { withSource } from "./source.ts";
import { markVolume, surveyVolumes } from "./survey.ts";
import { newUseGuard } from "./use-guard.ts";
import { findVolume, makeVolume, removeStale, removeVolume } from "./volume-files.ts";

export interface Qcow2VolumeDriverOptions {
  /** Made unless it exists. Only one driver at a time may use it. */
  readonly directory: string;
  /** The folders for `file:` sources. Default: none. */
  readonly allowedFileFolders?: readonly string[];
  /**
   * CIDRs that `http(s):` sources may come from although they are addresses of the node, or special. Default:
   * none.
   */
  readonly allowedSources?: readonly string[];
  /** The proxies through which `http(s):` sources are fetched. Default: none. */
  readonly webProxies?: WebProxies;
  /** The space to keep free on the file system of the directory. Default: nothing. */
  readonly freeSpace?: FreeSpace;
  /** The largest disk of a guest. Default: 4 TiB. */
  readonly virtualSizeBytesMax?: bigint;
  /** The longest wait for the first answer of a source. Default: 30 s. */
  readonly responseTimeoutMs?: number;
  /** The longest wait for the next bytes of a source. Default: 60 s. */
  readonly idleTimeoutMs?: number;
  /** How long a flattened overlay stays after it was last read. Default: 10 min. */
  readonly exportIdleMs?: number;
  readonly qemuImgTimeouts?: QemuImgTimeouts;
  /** How many images from outside are read or converted at the same time. Default: 2, or 1 on one processor. */
  readonly imagesAtOnceMax?: number;
  /** The group of QEMU, if it is known. Default: it is not. */
  readonly qemuGroup?: () => number | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
}

const TIB = 1024n ** 4n;
/** QEMU may run as another user and must be able to pass through. Nobody needs to list the names. */
const DIRECTORY_MODE = 0o711;

/**
 * Volumes as qcow2 files. Uses qemu-img for volumes with data. First removes what an earlier process left
 * unfinished.
 */
export async function openQcow2VolumeDriver(
  options: Qcow2VolumeDriverOptions,
): Promise<VolumeDriver> {
  const clock = options.clock ?? systemClock;
  const layout = newLayout(resolve(options.directory), options.random ?? systemRandom);
  await mkdir(layout.directory, { recursive: true, mode: DIRECTORY_MODE });
  await removeStale(layout);

  const virtualSizeBytesMax = options.virtualSizeBytesMax ?? 4n * TIB;
  const idleTimeoutMs = options.idleTimeoutMs ?? 60_000;
  const sourceOptions = {
    allowedFileFolders: options.allowedFileFolders ?? [],
    responseTimeoutMs: options.responseTimeoutMs ?? 30_000,
    idleTimeoutMs,
    sources: newSourceAddresses(options.allowedSources ?? []),
    proxies: options.webProxies ?? { exceptions: [] },
    clock,
    random: options.random ?? systemRandom,
  };
  const timeouts = options.qemuImgTimeouts ?? QEMU_IMG_TIMEOUTS;
  const qemuImg = newQemuImg(timeouts);
  const space = options.freeSpace ?? noFreeSpaceKept;
  const atOnceMax = options.imagesAtOnceMax ?? Math.min(2, availableParallelism());
  const foreignImages = newForeignImages({ timeouts, atOnceMax });
  const importer = { inspector: newInspector(), foreignImages, qemuImg, virtualSizeBytesMax };
  const guard = newUseGuard();
  const bases = newBaseIndex(layout);
  const exports = newExports({
    layout,
    clock,
    idleMs: options.exportIdleMs ?? 10 * 60_000,
    flatten: (id, to, caller) =>
      space.during(caller, async (signal) => {
        const { path } = await present(id, noVolume);
        await qemuImg.copy(path, to, signal);
      }),
  });

  async function present(id: string, orElse: (id: string) => N0Error): Promise<VolumeInfo> {
    const volume = await findVolume(layout, id);
    if (volume === undefined) throw orElse(id);
    if (volume.virtualSizeBytes === 0n) throw damaged(id);
    await backingFiles(layout, id);
    return volume;
  }

  async function refuseBase(id: string, removedBefore: readonly string[] = []): Promise<void> {
    const removed = new Set(removedBefore);
    const overlays = (await bases.overlaysOn(id)).filter((overlay) => !removed.has(overlay));
    if (overlays.length > 0) throw isBase(id, overlays);
  }

  /** The file to grow, and its new size in whole sectors; undefined if it has that size. */
  async function growable(id: string, sizeBytes: bigint) {
    checkVolumeId(id);
    const size = checkedSize(sizeBytes, virtualSizeBytesMax);
    const { path, virtualSizeBytes } = await present(id, noVolume);
    if (size === virtualSizeBytes) return undefined;
    if (size < virtualSizeBytes) throw cannotShrink(id, virtualSizeBytes);
    await refuseBase(id);
    await space.check();
    return { path, size };
  }

  /** The path of the volume if it is larger than `offset` and holds nothing from there on. */
  async function unusedFrom(id: string, offset: bigint, signal: AbortSignal) {
    const volume = await findVolume(layout, id);
    if (volume === undefined || volume.virtualSizeBytes <= offset) return undefined;
    await backingFiles(layout, id);
    const part = { fromBytes: offset, toBytes: volume.virtualSizeBytes };
    if (await qemuImg.hasData(volume.path, part, signal)) throw isUsedFrom(id, offset);
    return volume;
  }

  return {
    async ensureEmpty(id, sizeBytes, mark, signal) {
      checkVolumeId(id);
      const size = checkedSize(sizeBytes, virtualSizeBytesMax);
      using _ = guard.change(id);
      await makeVolume(layout, { id, mark, sizeBytes: size }, { signal, space }, (partial) =>
        writeSparse(partial, sparseQcow2(size)),
      );
    },

    async ensureFetched(id, { url, checksum }, sizeBytes, mark, work) {
      checkVolumeId(id);
      const size = checkedSize(sizeBytes, virtualSizeBytesMax);
      const from = parseSourceUrl(url);
      const wanted = checksum === undefined ? undefined : parseChecksum(checksum);
      using _ = guard.change(id);
      const { onProgress } = work;
      const volume = { id, mark, sizeBytes: size };
      await makeVolume(layout, volume, { signal: work.signal, space }, async (to, signal) => {
        const place = { to, scratch: layout.partial(id), sizeBytes: size, isFromNode: false };
        await withSource(from, sourceOptions, signal, async (source) => {
          await space.check(source.totalBytes);
          const image = { ...source, ...place, checksum: wanted };
          await importImage(importer, image, { signal, onProgress });
        });
      });
    },

    async ensureOverlay(id, baseId, sizeBytes, mark, signal) {
      checkVolumeId(id);
      checkVolumeId(baseId);
      const size = checkedSize(sizeBytes, virtualSizeBytesMax);
      using _ = guard.change(id);
      using __ = guard.use(baseId);
      bases.forget(id);
      const volume = { id, mark, sizeBytes: size, baseId };
      await makeVolume(layout, volume, { signal, space }, async (partial) => {
        const base = await present(baseId, noSource);
        if (size < base.virtualSizeBytes) throw tooSmall("the base", base.virtualSizeBytes, size);
        // The bare name, which QEMU looks up beside the overlay, so that the folder may be moved.
        await writeSparse(partial, sparseQcow2(size, volumeFileName(baseId)));
      });
    },

    async ensureCopy(id, sourceId, sizeBytes, mark, { signal: caller, onProgress }) {
      checkVolumeId(id);
      checkVolumeId(sourceId);
      const size = checkedSize(sizeBytes, virtualSizeBytesMax);
      using _ = guard.change(id);
      using __ = guard.use(sourceId);
      const volume = { id, mark, sizeBytes: size };
      await makeVolume(layout, volume, { signal: caller, space }, async (partial, signal) => {
        const { path, virtualSizeBytes } = await present(sourceId, noSource);
        if (size < virtualSizeBytes) throw tooSmall("the source", virtualSizeBytes, size);
        await qemuImg.copy(path, partial, signal, (fraction) =>
          onProgress?.(portion(fraction, virtualSizeBytes)),
        );
        if (virtualSizeBytes < size) await qemuImg.resize(partial, size, signal);
      });
    },

    async ensureReceived(id, bytes, sizeBytes, mark, work) {
      checkVolumeId(id);
      const size = checkedSize(sizeBytes, virtualSizeBytesMax);
      using _ = guard.change(id);
      const { onProgress } = work;
      const volume = { id, mark, sizeBytes: size };
      await makeVolume(layout, volume, { signal: work.signal, space }, async (to, signal) => {
        const guardedBytes = guarded(bytes, { idleTimeoutMs, signal });
        const scratch = layout.partial(id);
        const image = { bytes: guardedBytes, to, scratch, sizeBytes: size, isFromNode: true };
        await importImage(importer, image, { signal, onProgress });
      });
    },

    async ensureSize(id, sizeBytes, signal) {
      signal.throwIfAborted();
      using _ = guard.change(id);
      const file = await growable(id, sizeBytes);
      if (file !== undefined) await qemuImg.resize(file.path, file.size, signal);
    },

    async checkSize(id, sizeBytes, signal) {
      signal.throwIfAborted();
      await growable(id, sizeBytes);
    },

    async undoGrowth(id, { fromBytes, toBytes }, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      const before = wholeSectors(fromBytes);
      using _ = guard.change(id);
      const found = await findVolume(layout, id);
      if (found?.virtualSizeBytes !== wholeSectors(toBytes)) return;
      const volume = await unusedFrom(id, before, signal);
      if (volume !== undefined) await qemuImg.shrink(volume.path, before, signal);
    },

    async checkUnusedFrom(id, offsetBytes, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      await unusedFrom(id, offsetBytes, signal);
    },

    async checkRoom(signal) {
      signal.throwIfAborted();
      await space.check();
    },

    async checkAbsent(id, removedBefore, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      await refuseBase(id, removedBefore);
    },

    async ensureAbsent(id, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      using _ = guard.change(id);
      await refuseBase(id);
      await exports.remove(id);
      await removeVolume(layout, id);
      bases.forget(id);
    },

    async find(id, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      return await findVolume(layout, id);
    },

    async list(signal) {
      signal.throwIfAborted();
      const found = await readEach(await volumeIds(layout), (id) => findVolume(layout, id));
      // Undefined for a volume that was removed after the folder was read.
      return found.filter((volume) => volume !== undefined);
    },

    async survey(signal, page) {
      signal.throwIfAborted();
      return await surveyVolumes(layout, page);
    },

    async ensureMarked(id, mark, how, signal) {
      checkVolumeId(id);
      if (how.baseId !== undefined) checkVolumeId(how.baseId);
      signal.throwIfAborted();
      using _ = guard.change(id);
      await markVolume(layout, id, mark, how);
      bases.forget(id);
    },

    path(id) {
      checkVolumeId(id);
      return layout.volume(id);
    },

    async backing(id, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      return await backingFiles(layout, id);
    },

    async read(id, { offset, length }, signal) {
      checkVolumeId(id);
      signal.throwIfAborted();
      const volume = await present(id, noVolume);
      const gid = options.qemuGroup?.();
      if (gid !== undefined) {
        const resting =
          volume.baseId === undefined ? [volume.path] : await backingFiles(layout, id);
        for (const each of resting) openBeforeCopy(each, gid);
      }
      const whole =
        volume.baseId === undefined
          ? await ownFile(layout, id, clock, signal)
          : await flattenedFile(exports, id, signal);
      const { path, totalBytes, validator, afterRead } = whole;
      if (offset > totalBytes) throw beyondEnd(id, offset, totalBytes);
      const end =
        length === undefined || offset + length > totalBytes ? totalBytes : offset + length;
      const bytes = readRange(path, { offset, end }, signal, afterRead, () => changedWhileRead(id));
      return { totalBytes, validator, bytes };
    },
  };
}
