import { connect, type Socket } from "node:net";
import { N0Error } from "../../../util/errors.ts";

/**
 * Connects to a socket of a domain's QEMU.
 *
 * @throws N0Error `failed_precondition` if there is none or nobody listens: the domain is not active.
 */
export function connectToDomain(path: string, name: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: false });
    const onError = (cause: NodeJS.ErrnoException) => {
      const isOff = cause.code === "ENOENT" || cause.code === "ECONNREFUSED";
      const message = isOff
        ? `virtual machine "${name}" is not active: boot it first`
        : `the console of virtual machine "${name}" does not answer`;
      const facts = { resource: `virtual_machine/${name}`, cause };
      reject(new N0Error(isOff ? "failed_precondition" : "unavailable", message, facts));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      resolve(socket);
    });
  });
}
