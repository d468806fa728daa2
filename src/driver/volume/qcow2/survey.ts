import { stat } from "node:fs/promises";
import { defined } from "../../../util/defined.ts";
import { isAbsent } from "../../../util/errno.ts";
import { VOLUME_ID } from "../../../util/ref.ts";
import type { Mark } from "../../mark.ts";
import { ImageFormatError, parseQcow2Header } from "../image/qcow2-header.ts";
import { onPage, type SurveyPage } from "../survey-page.ts";
import type { Marking, VolumeSurvey } from "../volume-driver.ts";
import { checkOwner, noVolume } from "../volume-errors.ts";
import { readEach, readHead, sync } from "./files.ts";
import { type Layout, volumeFileName } from "./layout.ts";
import { readSidecar, writeSidecar } from "./sidecar.ts";
import { OWN_HEAD_BYTES, STAT_BLOCK_BYTES, sidecarOf } from "./volume-files.ts";

/** Everything on the page that the folder has under names of ours, without the flattened copies for readers. */
export async function surveyVolumes(
  layout: Layout,
  page: SurveyPage | undefined,
): Promise<VolumeSurvey[]> {
  const partials = new Map<string, number>();
  for (const { id, kind } of await layout.entries()) {
    if (kind === "export") continue;
    partials.set(id, (partials.get(id) ?? 0) + (kind === "partial" ? 1 : 0));
  }
  const all = [...partials].sort(byId);
  const some = page === undefined ? all : onPage(all, ([id]) => id, page);
  return await readEach(some, ([id, count]) => surveyOne(layout, id, count));
}

function byId([a]: readonly [string, number], [b]: readonly [string, number]): number {
  return a < b ? -1 : 1;
}

async function surveyOne(layout: Layout, id: string, partialCount: number): Promise<VolumeSurvey> {
  const sidecar = await readSidecar(layout.sidecar(id));
  const isRead = sidecar !== undefined && sidecar !== "unreadable";
  return {
    id,
    path: layout.volume(id),
    mark: isRead ? sidecar.mark : undefined,
    sidecar: isRead ? "whole" : sidecar === undefined ? "absent" : "altered",
    ...(await surveyFile(layout.volume(id))),
    ...defined({ baseId: isRead ? sidecar.baseId : undefined }),
    partialCount,
  };
}

async function surveyFile(path: string) {
  const nothing = { virtualSizeBytes: 0n, actualSizeBytes: 0n, isDamaged: false };
  try {
    const { blocks } = await stat(path, { bigint: true });
    const actualSizeBytes = blocks * STAT_BLOCK_BYTES;
    const head = readHeader(await readHead(path, OWN_HEAD_BYTES));
    if (head === undefined) return { ...nothing, actualSizeBytes, hasFile: true, isDamaged: true };
    const { virtualSizeBytes, backingFile } = head;
    const backing = backingFile === undefined ? {} : { backing: volumeIdIn(backingFile) };
    return { ...nothing, virtualSizeBytes, actualSizeBytes, hasFile: true, ...backing };
  } catch (error) {
    if (isAbsent(error)) return { ...nothing, hasFile: false };
    throw error;
  }
}

function readHeader(head: Uint8Array) {
  try {
    return parseQcow2Header(head);
  } catch (error) {
    if (error instanceof ImageFormatError) return undefined;
    throw error;
  }
}

/** Our files name their base by its bare file name. */
function volumeIdIn(backingFile: string): string {
  const id = backingFile.replace(/\.qcow2$/, "");
  return VOLUME_ID.test(id) && volumeFileName(id) === backingFile ? id : backingFile;
}

/** @throws N0Error `not_found`, `failed_precondition`. */
export async function markVolume(
  layout: Layout,
  id: string,
  wanted: Mark,
  { baseId, takenFrom }: Marking,
): Promise<void> {
  const found = await surveyOne(layout, id, 0);
  if (!found.hasFile) throw noVolume(id);
  const isTaken = found.mark !== undefined && found.mark.owner === takenFrom;
  if (found.mark !== undefined && !isTaken) checkOwner(id, found.mark, wanted);
  const mark = found.mark === undefined || isTaken ? wanted : found.mark;
  const base = defined({ baseId });
  const sidecar = sidecarOf({ id, mark, sizeBytes: found.virtualSizeBytes, ...base });
  await writeSidecar(layout.sidecar(id), sidecar);
  await sync(layout.directory);
}
