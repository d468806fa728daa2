import { createHash } from "node:crypto";
import { isAbsolute, join } from "node:path";
import { N0Error } from "../../../util/errors.ts";
import { NAME_ON_NODE } from "../../../util/ref.ts";

/** Where the files of one virtual machine lie on the node. */
export interface DomainPaths {
  /** Root's own, as all that libvirt and we open by a path. */
  readonly folder: string;
  /** QEMU's own, who makes its sockets there. libvirt opens nothing in it, and we nothing but those. */
  readonly qemuFolder: string;
  readonly vncSocket: string;
  /** Where an n0core before had QEMU make it: that of a virtual machine which has run since then. */
  readonly formerVncSocket: string;
  /** Made by libvirt, which hands it to QEMU. */
  readonly serialSocket: string;
  /** Written by virtlogd as root, and rotated to `serial.log.0` (newest) and up. */
  readonly serialLog: string;
}

const PREFIX = /^[a-zA-Z0-9._-]{0,16}$/;

/**
 * A unix socket's path is at most 107 bytes (sun_path is 108, with the terminating zero): a base of
 * 28, "/vm/", a folder of 63 and "/serial.sock" are 107.
 */
const BASE_BYTES_MAX = 28;
const FOLDER_BYTES_MAX = 63;

/** @throws N0Error `invalid_argument` if sockets of a virtual machine could not be made below it. */
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

/** @throws N0Error `invalid_argument` for a prefix that libvirt could not hold. */
export function checkPrefix(prefix: string): void {
  if (!PREFIX.test(prefix)) {
    throw new N0Error("invalid_argument", `the domain prefix must match ${PREFIX.source}`);
  }
}

/** Names become paths, so they are checked here once more, whoever calls. */
export function checkName(name: string): void {
  if (!NAME_ON_NODE.test(name)) {
    const message = `name: must match ${NAME_ON_NODE.source}`;
    throw new N0Error("invalid_argument", message, { field: "name" });
  }
}

/** Where the folders of all virtual machines lie. */
export function machinesFolder(baseDirectory: string): string {
  return join(baseDirectory, "vm");
}

/**
 * The folder of a virtual machine below that of all virtual machines. A name that is too long for it, as one
 * can be with its scope, becomes a checksum, which is no name.
 */
export function folderName(name: string): string {
  if (name.length <= FOLDER_BYTES_MAX) return name;
  return `~${createHash("sha256").update(name).digest("hex").slice(0, 48)}`;
}

/** What `folderName` makes. */
export function isFolderName(text: string): boolean {
  return NAME_ON_NODE.test(text) || /^~[0-9a-f]{48}$/.test(text);
}

/** @throws N0Error `invalid_argument` for a name that is none. */
export function domainPaths(baseDirectory: string, name: string): DomainPaths {
  checkName(name);
  const folder = join(machinesFolder(baseDirectory), folderName(name));
  return {
    folder,
    qemuFolder: join(folder, "qemu"),
    vncSocket: join(folder, "qemu", "vnc"),
    formerVncSocket: join(folder, "vnc.sock"),
    serialSocket: join(folder, "serial.sock"),
    serialLog: join(folder, "serial.log"),
  };
}
