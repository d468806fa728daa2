import { type Clock, pause, systemClock } from "../../../util/clock.ts";
import type { ComputeDriver } from "../compute-driver.ts";
import type { Accelerator } from "../domain.ts";
import { chooseAccelerator } from "./accelerator.ts";
import { type ComputeLog, openConnection } from "./connection.ts";
import { detectCpuController } from "./cpu-shares.ts";
import { checkBaseDirectory, checkPrefix, machinesFolder } from "./domain-paths.ts";
import { closedFolder, takeMachineFolders } from "./machine-folder.ts";
import { libvirtConsole } from "./parts/console.ts";
import { libvirtDefinition } from "./parts/definition.ts";
import { libvirtDisks } from "./parts/disks.ts";
import { libvirtFolders } from "./parts/folders.ts";
import { libvirtPower } from "./parts/power.ts";
import { createStateWatcher } from "./state-watcher.ts";
import type { DriverSettings, QemuUser } from "./worker-protocol.ts";

export interface LibvirtComputeDriverOptions {
  /** At most 28 bytes, for sockets lie below it: `<base>/vm/<name>/`. */
  readonly baseDirectory: string;
  /** Default `qemu:///system`. */
  readonly uri?: string;
  /** Put before the names of domains; tells instances on one node apart. Default `n0-`. */
  readonly prefix?: string;
  /** Default `auto`. */
  readonly accelerator?: "auto" | Accelerator;
  /** How many changes libvirt is given at once. Default 3: libvirt starts domains no faster with more. */
  readonly changeThreads?: number;
  /** Default 60,000. */
  readonly changeTimeoutMs?: number;
  /** Default 10,000. */
  readonly readTimeoutMs?: number;
  /** How long to wait for libvirt at the beginning, before going on without it. Default 10,000. */
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
  readonly log?: ComputeLog;
}

const silent: ComputeLog = { info() {}, warn() {} };
const RESYNC_RETRY_MS = 1_000;

/**
 * Domains of this node's libvirt. A domain of ours is one that bears our element in its metadata with our
 * prefix; others are never touched: what needs a virtual machine answers `failed_precondition` where theirs
 * has the name, and what removes succeeds without doing anything.
 *
 * A signal that aborts, or a timeout, abandons the answer of a call that libvirt has begun and not the call
 * itself; the next on the same name waits until it has ended.
 *
 * @throws N0Error `invalid_argument` for a base directory or a prefix that cannot be used.
 */
export async function openLibvirtComputeDriver(
  options: LibvirtComputeDriverOptions,
): Promise<ComputeDriver> {
  const { baseDirectory, prefix = "n0-", clock = systemClock, log = silent } = options;
  checkBaseDirectory(baseDirectory);
  checkPrefix(prefix);
  const settings: DriverSettings = {
    uri: options.uri ?? "qemu:///system",
    prefix,
    baseDirectory,
    accelerator: chooseAccelerator(options.accelerator ?? "auto"),
    cpuController: detectCpuController(),
  };
  if (settings.cpuController === "none") {
    log.warn(
      {},
      "the host has no cgroup controller for the cpu: the requested cpu of a virtual machine is not guaranteed",
    );
  }

  takeMachineFolders(machinesFolder(baseDirectory), (folder, err) =>
    log.warn(
      { err, folder },
      "the folder of a virtual machine may be open to QEMU's user: look at it",
    ),
  );
  const closed = new AbortController();
  const ready = new AbortController();
  const connection = openConnection({
    settings,
    changeThreads: options.changeThreads ?? 3,
    changeTimeoutMs: options.changeTimeoutMs ?? 60_000,
    readTimeoutMs: options.readTimeoutMs ?? 10_000,
    clock,
    log,
    onConnected: (qemuUser) => {
      if (qemuUser !== undefined) tellClosedFolder(baseDirectory, qemuUser, log);
      void resync().then(() => ready.abort());
    },
    onDomainEvent: (libvirtName) => {
      if (libvirtName.startsWith(prefix)) watcher.touch(libvirtName.slice(prefix.length));
    },
  });
  const watcher = createStateWatcher({
    observe: (name) => connection.read({ kind: "observe", name }),
    list: () => connection.read({ kind: "list" }),
  });

  async function resync(): Promise<void> {
    while (!closed.signal.aborted) {
      try {
        return await watcher.resync();
      } catch (reason) {
        log.warn({ err: reason }, "cannot read the states of the domains, trying again");
        // Aborted: the loop's condition ends it.
        await pause(clock, RESYNC_RETRY_MS, closed.signal);
      }
    }
  }

  // Without libvirt the driver goes on and answers `unavailable`; the reason is in the log already.
  const deadline = clock.sleep(options.connectTimeoutMs ?? 10_000, ready.signal);
  // Rejected by `ready`: what was waited for.
  await deadline.catch(() => {});

  const { [Symbol.dispose]: closeConsole, ...domainConsole } = libvirtConsole(baseDirectory, clock);
  return {
    accelerator: settings.accelerator,
    ...libvirtDefinition(connection, watcher),
    ...libvirtPower(connection, watcher),
    ...libvirtDisks(connection),
    ...domainConsole,
    ...libvirtFolders(baseDirectory),
    async [Symbol.asyncDispose]() {
      closed.abort();
      closeConsole();
      await connection[Symbol.asyncDispose]();
    },
  };
}

function tellClosedFolder(baseDirectory: string, qemuUser: QemuUser, log: ComputeLog): void {
  const folder = closedFolder(machinesFolder(baseDirectory), qemuUser);
  if (folder === undefined) return;
  log.warn(
    { folder, ...qemuUser },
    "the user whom QEMU runs as may not pass through this folder, so that no virtual machine starts: " +
      `chmod o+x ${folder}, or choose another base directory`,
  );
}
