import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { cpuShares, detectCpuController } from "../src/driver/compute/libvirt/cpu-shares.ts";
import { formatDomainXml } from "../src/driver/compute/libvirt/domain-xml.ts";
import { libvirtFiles, removeLog } from "../src/driver/compute/libvirt/libvirt-files.ts";
import { CPU_MILLI_CORES, type RealCloud, run } from "./real-node.ts";

/** The number of changes that our driver gives libvirt at the same time. */
const THREADS = 3;

export type BareOrder =
  | { readonly kind: "create"; readonly xml: string }
  | { readonly kind: "remove"; readonly name: string };

/** About the size of a seed. */
const SEED_BYTES = 64 << 10;

/** The same domains as ours, made only by libvirt's calls and the command that makes a tap. */
export interface BareLibvirt {
  /** Makes the things that must exist before: the disk, and the folder with a file in place of a seed. */
  prepare(name: string): Promise<void>;
  /** Makes the tap, defines the domain and starts it. */
  create(name: string): Promise<void>;
  /** Destroys and undefines the domain. */
  remove(name: string): Promise<void>;
  /** Removes the tap, the disk and the folder. */
  cleanUp(name: string): Promise<void>;
}

/** Ends with the cloud, whose names and folder it uses. */
export function openBareLibvirt({ prefix, folder, defer }: RealCloud): BareLibvirt {
  const idle = Array.from(
    { length: THREADS },
    () => new Worker(new URL("./bare-libvirt-worker.ts", import.meta.url)),
  );
  const workers = [...idle];
  const waiting: ((worker: Worker) => void)[] = [];
  const order = async (what: BareOrder): Promise<void> => {
    const worker = idle.pop() ?? (await new Promise<Worker>((resolve) => waiting.push(resolve)));
    const answer = await new Promise<string | undefined>((resolve) => {
      worker.once("message", resolve);
      worker.postMessage(what);
    });
    const next = waiting.shift();
    if (next === undefined) idle.push(worker);
    else next(worker);
    if (answer !== undefined) throw new Error(`bare libvirt: ${answer}`);
  };
  const prepared = new Set<string>();
  const tapOf = (name: string) => `${prefix}${name}`;
  const diskOf = (name: string) => join(folder, `${name}.qcow2`);
  const folderOf = (name: string) => join(folder, name);
  const qemuFolderOf = (name: string) => join(folderOf(name), "qemu");
  const seedOf = (name: string) => join(folderOf(name), "seed.iso");
  const cpuController = detectCpuController();
  defer(async () => {
    for (const name of prepared) {
      // Removes what a failed measurement left. Some of it may never have been made.
      await order({ kind: "remove", name: `${prefix}${name}` }).catch(() => undefined);
      await run("ip", "link", "delete", tapOf(name)).catch(() => undefined);
    }
    for (const worker of workers) await worker.terminate();
  });
  return {
    async prepare(name) {
      prepared.add(name);
      mkdirSync(folderOf(name));
      // QEMU's user makes a socket in it.
      mkdirSync(qemuFolderOf(name));
      chmodSync(qemuFolderOf(name), 0o777);
      writeFileSync(seedOf(name), Buffer.alloc(SEED_BYTES));
      await run("qemu-img", "create", "-q", "-f", "qcow2", diskOf(name), "1G");
    },
    async create(name) {
      await run("ip", "tuntap", "add", "mode", "tap", "name", tapOf(name));
      await order({ kind: "create", xml: xmlOf(name) });
    },
    remove: (name) => order({ kind: "remove", name: `${prefix}${name}` }),
    async cleanUp(name) {
      prepared.delete(name);
      await run("ip", "link", "delete", tapOf(name));
      rmSync(folderOf(name), { recursive: true });
      rmSync(diskOf(name));
      removeLog(libvirtFiles(prefix, name));
    },
  };

  function xmlOf(name: string): string {
    const path = (file: string) => join(folderOf(name), file);
    return formatDomainXml({
      spec: {
        name,
        uuid: randomUUID(),
        vcpus: 1,
        cpuMilliCores: CPU_MILLI_CORES,
        memoryBytes: 64n << 20n,
        disks: [
          { path: diskOf(name), format: "qcow2", device: "disk" },
          { path: seedOf(name), format: "raw", device: "cdrom" },
        ],
        nics: [{ tapName: tapOf(name), hardwareAddress: "52:54:00:00:00:01" }],
      },
      mark: { owner: "bench", transactionId: "floor" },
      prefix,
      paths: {
        folder: folderOf(name),
        qemuFolder: qemuFolderOf(name),
        vncSocket: join(qemuFolderOf(name), "vnc"),
        formerVncSocket: path("vnc.sock"),
        serialSocket: path("serial.sock"),
        serialLog: path("serial.log"),
      },
      accelerator: "tcg",
      cpuShares: cpuShares(cpuController, CPU_MILLI_CORES),
      basesAreOpen: false,
    });
  }
}
