import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { backoffMs } from "../../../util/backoff.ts";
import { systemRandom } from "../../../util/random.ts";
import { loadLibvirt, type Pointer } from "./bindings.ts";
import type {
  DriverSettings,
  FromEventWorker,
  QemuUser,
  ToEventWorker,
} from "./worker-protocol.ts";
import { findElement, findElements, parseXml } from "./xml.ts";

/**
 * The thread for libvirt's events. It opens a connection, reopens it when it is lost, and runs libvirt's event
 * loop, which the connections of the other threads need too. It never returns to its JavaScript event loop, so
 * it polls its port between two rounds.
 *
 * It finds a lost connection by asking, not by virConnectRegisterCloseCallback: libvirt calls that callback on
 * whichever thread notices the loss. A JavaScript callback on another thread than its own blocks both for ever
 * while its own thread is in native code.
 */
const settings = workerData as DriverSettings;
const port = parentPort!;
const libvirt = loadLibvirt();

/**
 * virDomainEventType: QEMU is about to end, even if it was paused. Until the event of its end, which follows,
 * libvirt reports a state that counts as running.
 */
const EVENT_SHUTDOWN = 6;
/** The longest delay for a message or a lost connection. Events themselves wake the loop at once. */
const WAKE_UP_MS = 200;
const BACKOFF = { firstMs: 400, maxMs: 5_000 };

interface OpenConnection {
  readonly pointer: Pointer;
  readonly callbackId: number;
}

function post(message: FromEventWorker): void {
  port.postMessage(message);
}

function openConnection(): OpenConnection | undefined {
  const pointer = libvirt.connectOpen(settings.uri);
  if (pointer === null) {
    post({ kind: "lost", reason: libvirt.lastError()?.message ?? "cannot connect" });
    return undefined;
  }
  const callbackId = libvirt.registerLifecycle(pointer, (_connection, domain, event) => {
    if (event === EVENT_SHUTDOWN) return;
    post({ kind: "event", libvirtName: libvirt.domainGetName(domain) });
  });
  if (callbackId < 0) {
    post({ kind: "lost", reason: libvirt.lastError()?.message ?? "cannot listen for events" });
    libvirt.connectClose(pointer);
    return undefined;
  }
  const qemuUser = readQemuUser(pointer);
  post({ kind: "connected", qemuUser });
  return { pointer, callbackId };
}

/** The capabilities contain `<baselabel type='kvm'>+64055:+106</baselabel>` in the model `dac`. */
function readQemuUser(connection: Pointer): QemuUser | undefined {
  const xml = libvirt.connectGetCapabilities(connection);
  if (xml === null) return undefined;
  for (const model of findElements(parseXml(xml), "host", "secmodel")) {
    if (findElement(model, "model")?.text !== "dac") continue;
    const [, uid, gid] =
      /^\+(\d+):\+(\d+)$/.exec(findElement(model, "baselabel")?.text ?? "") ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

function closeConnection({ pointer, callbackId }: OpenConnection): void {
  libvirt.deregisterEvent(pointer, callbackId);
  libvirt.connectClose(pointer);
}

function isStopped(): boolean {
  const received = receiveMessageOnPort(port);
  return received !== undefined && (received.message as ToEventWorker).kind === "stop";
}

libvirt.eventRegisterDefaultImpl();
libvirt.silenceErrors();
libvirt.addWakeUp(WAKE_UP_MS);

let open: OpenConnection | undefined;
let attempts = 0;
let nextAttemptMs = 0;
while (!isStopped()) {
  if (open === undefined && performance.now() >= nextAttemptMs) {
    open = openConnection();
    attempts = open === undefined ? attempts + 1 : 1;
    nextAttemptMs = performance.now() + backoffMs(BACKOFF, attempts, systemRandom);
  }
  libvirt.eventRunDefaultImpl();
  if (open !== undefined && libvirt.connectIsAlive(open.pointer) !== 1) {
    post({ kind: "lost", reason: "the connection was closed" });
    closeConnection(open);
    open = undefined;
  }
}
if (open !== undefined) closeConnection(open);
port.close();
