import { chmod, rename, rm, stat } from "node:fs/promises";
import { defined } from "../../../util/defined.ts";
import { ifThere, isAbsent } from "../../../util/errno.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Mark } from "../../mark.ts";
import type { FreeSpace } from "../free-space.ts";
import { ImageFormatError, parseQcow2Header } from "../image/qcow2-header.ts";
import type { VolumeInfo } from "../volume-driver.ts";
import { checkOwner, refused } from "../volume-errors.ts";
import { asDiskError, readHead, removeAll, sync } from "./files.ts";
import type { Layout } from "./layout.ts";
import { readSidecar, SIDECAR_KIND, type Sidecar, writeSidecar } from "./sidecar.ts";

/** The unit of `stat`, whatever the blocks of the file system are. */
export const STAT_BLOCK_BYTES = 512n;
/** In our own files the name of the backing file follows the header. */
export const OWN_HEAD_BYTES = 4096;
const FILE_MODE = 0o600;

export interface NewVolume {
  readonly id: string;
  readonly mark: Mark;
  readonly sizeBytes: bigint;
  readonly baseId?: string;
}

/** The volume; undefined unless both of its files exist. */
export async function findVolume(layout: Layout, id: string): Promise<VolumeInfo | undefined> {
  const sidecar = await readSidecar(layout.sidecar(id));
  if (sidecar === undefined || sidecar === "unreadable") return undefined;
  const path = layout.volume(id);
  try {
    const { blocks } = await stat(path, { bigint: true });
    const virtualSizeBytes = sizeIn(await readHead(path, OWN_HEAD_BYTES));
    return {
      id,
      mark: sidecar.mark,
      path,
      virtualSizeBytes,
      actualSizeBytes: blocks * STAT_BLOCK_BYTES,
      ...defined({ baseId: sidecar.baseId }),
    };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** 0 if the file is not a qcow2: one damaged file must not hide all others from `list`. */
function sizeIn(head: Uint8Array): bigint {
  try {
    return parseQcow2Header(head).virtualSizeBytes;
  } catch (error) {
    if (error instanceof ImageFormatError) return 0n;
    throw error;
  }
}

/**
 * Makes a volume whole or not at all. `build` writes the file under a temporary name. It must end when its
 * signal aborts, which it also does if too little space is left.
 *
 * The sidecar is written in the meantime, and both are on the disk before the rename that makes the volume
 * appear. So a death at any point leaves an unfinished file, a sidecar alone, or both: none of them is a
 * volume, and the next `ensureAbsent` or start removes each, or the next attempt replaces it.
 */
export async function makeVolume(
  layout: Layout,
  volume: NewVolume,
  { signal, space }: { readonly signal: AbortSignal; readonly space: FreeSpace },
  build: (partial: string, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { id } = volume;
  signal.throwIfAborted();
  if (await isMadeBefore(layout, volume)) return;
  const partial = layout.partial(id);
  try {
    const results = await Promise.allSettled([
      space.during(signal, (endSignal) => build(partial, endSignal)),
      writeSidecar(layout.sidecar(id), sidecarOf(volume)),
    ]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    // qemu-img makes files that everybody can read.
    await chmod(partial, FILE_MODE);
    await sync(partial);
    signal.throwIfAborted();
    await rename(partial, layout.volume(id));
    await sync(layout.directory);
  } catch (cause) {
    await removeRemains(id, [partial, layout.volume(id), layout.sidecar(id)], cause);
    throw asDiskError(cause);
  }
}

/** The volume's file is removed first, because a sidecar alone is not a volume. */
export async function removeVolume(layout: Layout, id: string): Promise<void> {
  const entries = (await layout.entries()).filter((entry) => entry.id === id);
  try {
    await rm(layout.volume(id), { force: true });
    await removeAll(entries.map(({ path }) => path));
  } catch (cause) {
    throw asDiskError(cause);
  }
  if (entries.length > 0) await sync(layout.directory);
}

/** Removes what an interrupted process left in the folder. No other process may still use it. */
export async function removeStale(layout: Layout): Promise<void> {
  const entries = await layout.entries();
  const volumes = new Set(entries.filter(({ kind }) => kind === "volume").map(({ id }) => id));
  for (const { id, kind, path } of entries) {
    if (kind === "partial" || kind === "export") await rm(path, { force: true });
    else if (kind === "sidecar" && !volumes.has(id) && (await isSidecar(path))) {
      await rm(path, { force: true });
    }
  }
}

async function isMadeBefore(layout: Layout, { id, mark }: NewVolume): Promise<boolean> {
  const sidecar = await readSidecar(layout.sidecar(id));
  if (sidecar === undefined) {
    // A file without a sidecar is not a volume, and a new sidecar must not make it one.
    await rm(layout.volume(id), { force: true });
    return false;
  }
  if (!(await isFile(layout.volume(id)))) return false;
  if (sidecar === "unreadable") {
    throw refused(
      `the owner of volume "${id}" is not known because its sidecar is damaged: run verify`,
    );
  }
  checkOwner(id, sidecar.mark, mark);
  return true;
}

async function removeRemains(id: string, paths: readonly string[], reason: unknown): Promise<void> {
  try {
    await removeAll(paths);
  } catch (error) {
    const cause = new AggregateError([reason, error]);
    const known = asDiskError(error);
    if (known instanceof N0Error) throw known;
    throw new N0Error("internal", `cannot remove the rest of volume "${id}"`, {
      cause,
    });
  }
}

export function sidecarOf({ mark, sizeBytes, baseId }: NewVolume): Sidecar {
  const { owner, transactionId } = mark;
  return {
    kind: SIDECAR_KIND,
    mark: { owner, transactionId },
    ...defined({ baseId }),
    createdSizeBytes: `${sizeBytes}`,
  };
}

async function isSidecar(path: string): Promise<boolean> {
  const sidecar = await readSidecar(path);
  return sidecar !== undefined && sidecar !== "unreadable";
}

async function isFile(path: string): Promise<boolean> {
  return (await ifThere(stat(path)))?.isFile() ?? false;
}
