import type { BigIntStats } from "node:fs";
import { stat } from "node:fs/promises";
import type { Clock } from "../../../util/clock.ts";
import { ifThere } from "../../../util/errno.ts";
import { N0Error } from "../../../util/errors.ts";
import { noSource } from "../volume-errors.ts";
import type { Layout } from "./layout.ts";
import { readSidecar } from "./sidecar.ts";

export interface ChainState {
  /** Differs after any write to any of the files, and after any of them was replaced or restored. */
  readonly state: string;
  /** The length of the volume's own file. */
  readonly fileBytes: bigint;
}

/**
 * The kernel stamps a change with the time of its last tick, at most 10 ms ago, or with whole seconds if the
 * file system has no finer times (ext3, FAT). So the second of two changes within that time may not change the
 * stamp.
 */
const STAMP_MS = 50;
const WHOLE_SECOND_STAMP_MS = 2000;
const TRIES_MAX = 5;

/**
 * The state of one file. A change of its content sets both times. A user who restores a file may set its
 * modification time back, but nobody can set its change time.
 */
export function fileState({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(".");
}

/**
 * The state of the volume's file and of all files that it rests on. Waits until the last change of each is so
 * old that a later change is sure to show.
 *
 * @throws N0Error `failed_precondition` if a file does not exist; `aborted` while something writes to one.
 */
export async function chainState(
  layout: Layout,
  id: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<ChainState> {
  const ids = await chainOf(layout, id);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const files: BigIntStats[] = [];
    for (const each of ids) files.push(await statVolume(layout, each));
    const waitMs = Math.max(...files.map(({ ctimeNs }) => freshMs(ctimeNs, clock.nowMs())));
    if (waitMs === 0) {
      return { state: files.map(fileState).join(" "), fileBytes: files[0]?.size ?? 0n };
    }
    await clock.sleep(waitMs, signal);
  }
  throw new N0Error("aborted", `volume "${id}" is being written to; try again`, {
    retryAfterMs: 1000,
  });
}

/** How long another change could still get the same stamp. */
export function freshMs(stampNs: bigint, nowMs: number): number {
  const resolutionMs = stampNs % 1_000_000_000n === 0n ? WHOLE_SECOND_STAMP_MS : STAMP_MS;
  const ageMs = nowMs - Number(stampNs / 1_000_000n);
  // A stamp in the far future is from before the clock was set back. Later changes get earlier stamps.
  return Math.abs(ageMs) >= resolutionMs ? 0 : resolutionMs - ageMs;
}

/** The volume, its base, the base of that, and so on to the last. */
async function chainOf(layout: Layout, top: string): Promise<string[]> {
  const ids = new Set<string>();
  for (let id: string | undefined = top; id !== undefined && !ids.has(id); ) {
    ids.add(id);
    const sidecar = await readSidecar(layout.sidecar(id));
    id = sidecar === undefined || sidecar === "unreadable" ? undefined : sidecar.baseId;
  }
  return [...ids];
}

async function statVolume(layout: Layout, id: string): Promise<BigIntStats> {
  const found = await ifThere(stat(layout.volume(id), { bigint: true }));
  if (found === undefined) throw noSource(id);
  return found;
}
