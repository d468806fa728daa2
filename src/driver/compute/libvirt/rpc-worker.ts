import { parentPort, workerData } from "node:worker_threads";
import { errorChain, kindOf, N0Error } from "../../../util/errors.ts";
import { loadLibvirt, type Pointer } from "./bindings.ts";
import { runOperation } from "./operations.ts";
import { loadQemuEnder } from "./qemu-process.ts";
import type {
  DriverSettings,
  FromRpcWorker,
  Operation,
  QemuUser,
  ToRpcWorker,
  WireError,
} from "./worker-protocol.ts";

/**
 * A thread that does operations one after the other, blocking. The connection is opened by the event
 * worker; this thread owns one reference to it.
 */
const settings = workerData as DriverSettings;
const port = parentPort!;
const libvirt = loadLibvirt();
const qemu = loadQemuEnder();
let connection: Pointer | undefined;
let qemuUser: QemuUser | undefined;

port.on("message", (message: ToRpcWorker) => {
  switch (message.kind) {
    case "attach":
      release();
      ({ connection, qemuUser } = message);
      break;
    case "run":
      port.postMessage(answer(message.id, message.operation));
      break;
    case "stop":
      release();
      port.close();
      break;
  }
});

function answer(id: number, operation: Operation): FromRpcWorker {
  try {
    if (connection === undefined) {
      throw new N0Error("unavailable", "the hypervisor is not connected, try again");
    }
    const result = runOperation({ libvirt, connection, settings, qemuUser, qemu }, operation);
    return { kind: "done", id, result };
  } catch (error) {
    return { kind: "failed", id, error: toWireError(error) };
  }
}

function toWireError(error: unknown): WireError {
  const isOurs = error instanceof N0Error;
  return {
    kind: kindOf(error),
    message: isOurs ? error.message : "the compute driver failed",
    resource: isOurs ? error.facts.resource : undefined,
    cause: errorChain(isOurs ? error.cause : error),
  };
}

function release(): void {
  if (connection !== undefined) libvirt.connectClose(connection);
  connection = undefined;
}
