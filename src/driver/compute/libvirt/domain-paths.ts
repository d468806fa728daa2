import { createHash } from "node:crypto";
import { isAbsolute, join } from "node:path";
import { N0Error } from "../../../util/errors.ts";
import { NAME_ON_NODE } from "../../../util/ref.ts";

/** The paths on the node of one virtual machine. */
export interface DomainPaths {
  /** Belongs to root, like every path that libvirt or we open. */
  readonly folder: string;
  /**
   * Belongs to QEMU's user: QEMU makes its sockets there. libvirt opens nothing in it, and we open only those
   * sockets.
   */
  readonly qemuFolder: string;
  readonly vncSocket: string;
  /** The socket of an earlier version of n0core, for a virtual machine that has run since then. */
  readonly formerVncSocket: string;
  /** libvirt makes this socket and hands it to QEMU. */
  readonly serialSocket: string;
  /** virtlogd writes it as root, and rotates it to `serial.log.0` (newest) and up. */
  readonly serialLog: string;
}

const PREFIX = /^[a-zA-Z0-9._-]{0,16}$/;

/**
 * The path of a unix socket has at most 107 bytes (sun_path is 108, with the terminating zero): a base of 28,
 * "/vm/", a folder of 63 and "/serial.sock" are 107.
 */
const BASE_BYTES_MAX = 28;
const FOLDER_BYTES_MAX = 63;

/** @throws N0Error `invalid_argument` if the path is too long for the sockets of virtual machines. */
export function checkBaseDirectory(baseDirectory: string): void {
  const bytes = Buffer.byteLength(baseDirectory);
  if (!isAbsolute(baseDirectory) || bytes > BASE_BYTES_MAX || baseDirectory.endsWith("/")) {
    throw new N0Error(
      "invalid_argument",
      `the base directory must be an absolute path of at most ${BASE_BYTES_MAX} bytes without a trailing slash, ` +
        `because the sockets of virtual machines lie below it: choose a shorter one than "${baseDirectory}" (${bytes} bytes)`,
    );
  }
}

/** @throws N0Error `invalid_argument` if libvirt cannot hold the prefix. */
export function checkPrefix(prefix: string): void {
  if (!PREFIX.test(prefix)) {
    throw new N0Error("invalid_argument", `the domain prefix must match ${PREFIX.source}`);
  }
}

/** Names become paths, so every caller's name is checked here once more. */
export function checkName(name: string): void {
  if (!NAME_ON_NODE.test(name)) {
    const message = `name: must match ${NAME_ON_NODE.source}`;
    throw new N0Error("invalid_argument", message, { field: "name" });
  }
}

/** The folder that holds the folders of all virtual machines. */
export function domainsFolder(baseDirectory: string): string {
  return join(baseDirectory, "vm");
}

/**
 * The name of the folder of a virtual machine. A name that is too long, which can happen with a scope, becomes
 * a checksum, which is never the name of a virtual machine.
 */
export function folderName(name: string): string {
  if (name.length <= FOLDER_BYTES_MAX) return name;
  return `~${createHash("sha256").update(name).digest("hex").slice(0, 48)}`;
}

/** Matches the results of `folderName`. */
export function isFolderName(text: string): boolean {
  return NAME_ON_NODE.test(text) || /^~[0-9a-f]{48}$/.test(text);
}

/** @throws N0Error `invalid_argument` if the name is not valid. */
export function domainPaths(baseDirectory: string, name: string): DomainPaths {
  checkName(name);
  const folder = join(domainsFolder(baseDirectory), folderName(name));
  return {
    folder,
    qemuFolder: join(folder, "qemu"),
    vncSocket: join(folder, "qemu", "vnc"),
    formerVncSocket: join(folder, "vnc.sock"),
    serialSocket: join(folder, "serial.sock"),
    serialLog: join(folder, "serial.log"),
  };
}
