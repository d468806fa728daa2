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
 * The thread that hears libvirt's events: it opens a connection, opens it again when it is lost, and runs
 * libvirt's event loop, which the connections of the other threads need as well.
 * It never returns to its own JavaScript event loop, so it looks at its port between two rounds.
 *
 * A lost connection is found by asking, not by virConnectRegisterCloseCallback: libvirt calls that one
 * on whichever thread notices, and a JavaScript callback called on another thread than its own, while
 * its own sits in native code, blocks both for ever.
 */
const settings = workerData as DriverSettings;
const port = parentPort!;
const libvirt = loadLibvirt();

/**
 * virDomainEventType: QEMU is about to end, also where it was paused. Until the event that it has ended,
 * which follows, the state is one that counts as running.
 */
const EVENT_SHUTDOWN = 6;
/** How soon a message and a lost connection are noticed. Events themselves wake the loop at once. */
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

/** The capabilities hold it as `<baselabel type='kvm'>+64055:+106</baselabel>` of the model `dac`. */
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
