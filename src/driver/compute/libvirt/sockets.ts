import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { ifThereSync } from "../../../util/errno.ts";
import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";

/** <fcntl.h>: a place in the file system, of whatever kind, which is not opened by that. */
const O_PATH = 0o10000000;

/**
 * Connects to a socket of a domain's QEMU, the first of `paths` that is there.
 *
 * QEMU makes some of them in a folder of its own. So a link is not followed, and a socket that has another
 * name elsewhere is not taken: either could lead to a socket that listens to root, such as libvirt's.
 *
 * @throws N0Error `failed_precondition` if there is none or nobody listens: the domain is not active; or if
 *   it is no socket of its own.
 */
export async function connectToDomain(paths: readonly string[], name: string): Promise<Socket> {
  for (const path of paths) {
    const place = ifThereSync(() => openSync(path, O_PATH | constants.O_NOFOLLOW));
    if (place === undefined) continue;
    try {
      requireOwnSocket(place, name);
      return await connectTo(`/proc/self/fd/${place}`, name);
    } finally {
      closeSync(place);
    }
  }
  throw isOff(name);
}

function requireOwnSocket(place: number, name: string): void {
  const found = fstatSync(place);
  if (found.isSocket() && found.nlink === 1) return;
  throw new N0Error(
    "failed_precondition",
    `the console of virtual machine "${name}" is not a socket of its own: ` +
      "shut it down, boot it again, and look on the node for who has changed its folder",
    { resource: ownerOnNode("virtual_machine", name) },
  );
}

function connectTo(path: string, name: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: false });
    const onError = (cause: NodeJS.ErrnoException) => {
      reject(cause.code === "ECONNREFUSED" ? isOff(name, cause) : isSilent(name, cause));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

function isOff(name: string, cause?: Error): N0Error {
  return new N0Error(
    "failed_precondition",
    `virtual machine "${name}" is not active: boot it first`,
    { resource: ownerOnNode("virtual_machine", name), cause },
  );
}

function isSilent(name: string, cause: Error): N0Error {
  return new N0Error("unavailable", `the console of virtual machine "${name}" does not answer`, {
    resource: ownerOnNode("virtual_machine", name),
    cause,
  });
}
