import { createHash } from "node:crypto";
import { open, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { byKey } from "./tools.ts";

export interface VolumeFile {
  /** For a qcow2: the size that a guest sees, and the file name of its base. */
  readonly virtual_bytes?: string;
  readonly backing?: string;
  /** For a sidecar: its content. */
  readonly content?: string;
}

/**
 * For the folder of a virtual machine: hashes of the files that the guest reads, and only the names of files
 * that change by themselves.
 */
export type FolderFiles = Readonly<Record<string, string>>;

const HEAD_BYTES = 4096;
const QCOW2_MAGIC = 0x514649fb;

export async function readVolumes(folder: string): Promise<Record<string, VolumeFile>> {
  const names = await namesIn(folder);
  return byKey(
    await Promise.all(
      names.map(async (name) => [name, await readVolume(join(folder, name))] as const),
    ),
  );
}

async function readVolume(path: string): Promise<VolumeFile> {
  if (path.endsWith(".json")) return { content: (await readFile(path, "utf8")).trim() };
  const head = await readHead(path);
  if (head.length < 72 || head.readUInt32BE(0) !== QCOW2_MAGIC) return {};
  // docs/interop/qcow2.txt of QEMU: the place and length of the name of the backing file, and the size.
  const offset = Number(head.readBigUInt64BE(8));
  const length = head.readUInt32BE(16);
  const backing = head.subarray(offset, offset + length).toString("utf8");
  return {
    virtual_bytes: head.readBigUInt64BE(24).toString(),
    ...(offset === 0 ? {} : { backing: basename(backing) }),
  };
}

async function readHead(path: string): Promise<Buffer> {
  await using file = await open(path, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

export async function readDomainFolders(folder: string): Promise<Record<string, FolderFiles>> {
  const names = await namesIn(folder);
  return byKey(
    await Promise.all(
      names.map(async (name) => [name, await readFolder(join(folder, name))] as const),
    ),
  );
}

async function readFolder(folder: string): Promise<FolderFiles> {
  const names = await namesIn(folder);
  const describe = async (name: string) =>
    name.endsWith(".iso")
      ? createHash("sha256")
          .update(await readFile(join(folder, name)))
          .digest("hex")
      : "";
  // The serial log may have older files, because the guest keeps writing.
  const lasting = names.filter((name) => !/^serial\.log\.\d+$/.test(name));
  return byKey(
    await Promise.all(lasting.map(async (name) => [name, await describe(name)] as const)),
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
