import { type Clock, pause, systemClock } from "../../../util/clock.ts";
import type { ComputeDriver } from "../compute-driver.ts";
import type { Accelerator } from "../domain.ts";
import { chooseAccelerator } from "./accelerator.ts";
import { type ComputeLog, openConnection } from "./connection.ts";
import { detectCpuController } from "./cpu-shares.ts";
import { closedFolder, takeDomainFolders } from "./domain-folder.ts";
import { checkBaseDirectory, checkPrefix, domainsFolder } from "./domain-paths.ts";
import { libvirtConsole } from "./parts/console.ts";
import { libvirtDefinition } from "./parts/definition.ts";
import { libvirtDisks } from "./parts/disks.ts";
import { libvirtFolders } from "./parts/folders.ts";
import { libvirtNics } from "./parts/nics.ts";
import { libvirtPower } from "./parts/power.ts";
import { createStateWatcher } from "./state-watcher.ts";
import type { DriverSettings, QemuUser } from "./worker-protocol.ts";

export interface LibvirtComputeDriverOptions {
  /** At most 28 bytes, since sockets lie below it: `<base>/vm/<name>/`. */
  readonly baseDirectory: string;
  /** Default `qemu:///system`. */
  readonly uri?: string;
  /** The prefix of domain names, which tells the instances on one node apart. Default `n0-`. */
  readonly prefix?: string;
  /** Default `auto`. */
  readonly accelerator?: "auto" | Accelerator;
  /**
   * The number of changes that libvirt does at the same time. Default 3: with more, libvirt starts domains no
   * faster.
   */
  readonly changeThreads?: number;
  /** Default 60,000. */
  readonly changeTimeoutMs?: number;
  /** Default 10,000. */
  readonly readTimeoutMs?: number;
  /** How long to wait for libvirt at the start, before going on without it. Default 10,000. */
  readonly connectTimeoutMs?: number;
  readonly clock?: Clock;
  readonly log?: ComputeLog;
  /** Called with QEMU's group when libvirt has answered, and after each new connection. */
  readonly onQemuGroup?: (gid: number) => void;
}

const silent: ComputeLog = { info() {}, warn() {} };
const RESYNC_RETRY_MS = 1_000;

/**
 * Domains of this node's libvirt. A domain is ours if its metadata has our element with our prefix. All others
 * are never touched: if a domain that is not ours has the name of a virtual machine, methods that need the
 * domain throw `failed_precondition`, and methods that remove succeed without doing anything.
 *
 * If a signal aborts, or a timeout ends, while libvirt works on a call, the driver abandons the answer and not
 * the call itself. The next call for the same name waits until that one has ended.
 *
 * @throws N0Error `invalid_argument` if the base directory or the prefix cannot be used.
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
      "the node has no cgroup controller for the cpu, so it cannot guarantee the requested cpu of a virtual machine",
    );
  }

  takeDomainFolders(domainsFolder(baseDirectory), (folder, err) =>
    log.warn(
      { err, folder },
      "QEMU's user may be able to write to the folder of a virtual machine: check its owner and mode",
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
      if (qemuUser !== undefined) {
        tellClosedFolder(baseDirectory, qemuUser, log);
        options.onQemuGroup?.(qemuUser.gid);
      }
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
        // If it aborted, the condition of the loop ends it.
        await pause(clock, RESYNC_RETRY_MS, closed.signal);
      }
    }
  }

  // Without libvirt the driver goes on and answers `unavailable`. The log has the reason already.
  const deadline = clock.sleep(options.connectTimeoutMs ?? 10_000, ready.signal);
  // `ready` rejects the wait.
  await deadline.catch(() => {});

  const { [Symbol.dispose]: closeConsole, ...domainConsole } = libvirtConsole(baseDirectory, clock);
  return {
    accelerator: settings.accelerator,
    ...libvirtDefinition(connection, watcher),
    ...libvirtPower(connection, watcher),
    ...libvirtDisks(connection),
    ...libvirtNics(connection, clock),
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
  const folder = closedFolder(domainsFolder(baseDirectory), qemuUser);
  if (folder === undefined) return;
  log.warn(
    { folder, ...qemuUser },
    "QEMU's user has no access through this folder, so no virtual machine can start: " +
      `chmod o+x ${folder}, or choose another base directory`,
  );
}
