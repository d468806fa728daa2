import { isAbsent } from "../../../util/errno.ts";
import { ImageFormatError, parseQcow2Header, type Qcow2Header } from "../image/qcow2-header.ts";
import { damaged, lacksSidecar, noSource, restsOnOther } from "../volume-errors.ts";
import { readHead } from "./files.ts";
import { type Layout, volumeFileName } from "./layout.ts";
import { readSidecar } from "./sidecar.ts";
import { OWN_HEAD_BYTES } from "./volume-files.ts";

/**
 * The files that the volume rests on, the nearest first, from the sidecars, which only root can write.
 *
 * QEMU's user can write to a volume while a virtual machine uses it. If its header named any other file of the
 * node, libvirt would give that file to QEMU, and root's qemu-img would read it. So each header must name the
 * same file as the sidecar.
 *
 * @throws N0Error `failed_precondition` if the volume or one of these files is missing, or if a file names
 * another one.
 */
export async function backingFiles(layout: Layout, id: string): Promise<string[]> {
  const ids = [id];
  for (let at = id; ; ) {
    const baseId = await baseOf(layout, at);
    if (baseId === undefined) return ids.slice(1).map(layout.volume);
    if (ids.includes(baseId)) throw restsOnOther(at);
    ids.push(baseId);
    at = baseId;
  }
}

async function baseOf(layout: Layout, id: string): Promise<string | undefined> {
  const { backingFile, hasExternalDataFile } = await headerOf(layout, id);
  const sidecar = await readSidecar(layout.sidecar(id));
  if (sidecar === undefined || sidecar === "unreadable") throw lacksSidecar(id);
  const { baseId } = sidecar;
  const named = baseId === undefined ? undefined : volumeFileName(baseId);
  if (backingFile !== named || hasExternalDataFile) throw restsOnOther(id);
  return baseId;
}

async function headerOf(layout: Layout, id: string): Promise<Qcow2Header> {
  try {
    return parseQcow2Header(await readHead(layout.volume(id), OWN_HEAD_BYTES));
  } catch (error) {
    if (isAbsent(error)) throw noSource(id);
    if (error instanceof ImageFormatError) throw damaged(id);
    throw error;
  }
}
