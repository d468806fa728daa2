import { parentPort, workerData } from "node:worker_threads";
import { errorChain, kindOf, N0Error } from "../../../util/errors.ts";
import { loadLibvirt, type Pointer } from "./bindings.ts";
import { asFileError } from "./file-error.ts";
import { quote } from "./libvirt-error.ts";
import { runOperation } from "./operations/run-operation.ts";
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
 * A thread that does operations one after the other, blocking, on its own connection. Such threads can come and
 * go, since the event loop of the connection runs in the event worker.
 */
const settings = workerData as DriverSettings;
const port = parentPort!;
const libvirt = loadLibvirt();
const qemu = loadQemuEnder();
let connection: Pointer | undefined;
let qemuUser: QemuUser | undefined;

port.on("message", (message: ToRpcWorker) => {
  switch (message.kind) {
    case "know":
      ({ qemuUser } = message);
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
    const context = { libvirt, connection: connected(), settings, qemuUser, qemu };
    return { kind: "done", id, result: runOperation(context, operation) };
  } catch (error) {
    return { kind: "failed", id, error: toWireError(error) };
  }
}

/** Opens the connection if there is none, or if it was lost. Opening takes about a millisecond. */
function connected(): Pointer {
  if (connection !== undefined && libvirt.connectIsAlive(connection) === 1) return connection;
  release();
  const opened = libvirt.connectOpen(settings.uri);
  if (opened === null) {
    const said = libvirt.lastError()?.message ?? "cannot connect";
    throw new N0Error("unavailable", `the hypervisor is not connected, try again${quote(said)}`, {
      cause: new Error(`libvirt: ${said}`),
    });
  }
  connection = opened;
  return opened;
}

function toWireError(reason: unknown): WireError {
  const error = asFileError(reason);
  const isOurs = error instanceof N0Error;
  return {
    kind: kindOf(error),
    message: isOurs ? error.message : "the compute driver failed",
    resource: isOurs ? error.facts.resource : undefined,
    field: isOurs ? error.facts.field : undefined,
    cause: errorChain(isOurs ? error.cause : error),
  };
}

function release(): void {
  if (connection !== undefined) libvirt.connectClose(connection);
  connection = undefined;
}
