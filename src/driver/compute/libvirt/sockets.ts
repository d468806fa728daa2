import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { ifThereSync } from "../../../util/errno.ts";
import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";

/** <fcntl.h>: names any file without opening it. */
const O_PATH = 0o10000000;

/**
 * Connects to the first socket of `paths` that exists, a socket of the QEMU of a domain.
 *
 * QEMU makes some of them in its own folder. So we follow no link, and refuse a socket with a second name
 * elsewhere: either could lead to a socket that listens for root, such as libvirt's.
 *
 * @throws N0Error `failed_precondition` if there is no socket or nobody listens, since the domain is not
 * active; or if the socket is not QEMU's own.
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
    `the console of virtual machine "${name}" is not a socket of its QEMU: ` +
      "shut it down, boot it again, and check on the node who has changed its folder",
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
