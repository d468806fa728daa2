import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { access, readFile, rm, writeFile } from "node:fs/promises";
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { runCommand } from "../../src/driver/command/run-command.ts";
import type { ComputeDriver } from "../../src/driver/compute/compute-driver.ts";
import { METADATA_NAMESPACE } from "../../src/driver/compute/libvirt/domain-xml.ts";
import type { ComputeDriverWorld } from "../../src/driver/compute/suite/world.suite.ts";
import type { Mark } from "../../src/driver/mark.ts";
import { LISTENING, powerButtonBootDisk } from "./boot-sectors.ts";

/** This run's own names: other runs and other instances may use the node at the same time. */
export interface RunNames {
  readonly id: string;
  readonly prefix: string;
  readonly baseDirectory: string;
}

export function newRunNames(): RunNames {
  const id = randomBytes(3).toString("hex");
  return { id, prefix: `n0t${id}-`, baseDirectory: `/tmp/n0t${id}` };
}

export function run(file: string, ...args: string[]): Promise<string> {
  return runCommand(file, args, { timeoutMs: 30_000 });
}

interface ForeignMaker {
  addForeign(
    name: string,
    uuid: string,
    theirs?: Mark & { readonly prefix: string },
  ): Promise<void>;
}

/** One test's share of the node. Everything that it makes is removed with it. */
export function newComputeWorld(
  driver: ComputeDriver,
  { id, prefix, baseDirectory }: RunNames,
): Omit<ComputeDriverWorld, "addForeign"> & ForeignMaker {
  const names: string[] = [];
  const foreign: string[] = [];
  const taps: string[] = [];
  const disks: string[] = [];
  const kill = async (name: string, signal: NodeJS.Signals) => {
    const pid = await readFile(`/run/libvirt/qemu/${prefix}${name}.pid`, "utf8");
    process.kill(Number(pid), signal);
  };
  return {
    driver,
    tooMuchMemoryBytes: 1n << 46n,
    newName() {
      const name = `vm-${randomBytes(4).toString("hex")}`;
      names.push(name);
      return name;
    },
    async newDisk() {
      const path = `${baseDirectory}-disk-${disks.length}.qcow2`;
      await run("qemu-img", "create", "-q", "-f", "qcow2", path, "8M");
      disks.push(path);
      return { path, format: "qcow2", device: "disk" };
    },
    async newGuestDisk() {
      const path = `${baseDirectory}-guest-${disks.length}.img`;
      await writeFile(path, powerButtonBootDisk());
      disks.push(path);
      return { path, format: "raw", device: "disk" };
    },
    async listen(name) {
      await using serial = await driver.openSerial(name);
      const heard = once(serial, "data");
      // Until the BIOS has started the guest, typed bytes are lost.
      const typing = setInterval(() => serial.write("x"), 100);
      try {
        const [text] = (await heard) as [Buffer];
        if (text.toString() !== LISTENING) throw new Error(`the guest says ${text.toString()}`);
      } finally {
        clearInterval(typing);
      }
    },
    async newNic() {
      const tapName = `t${id}-${taps.length}`;
      await run("ip", "tuntap", "add", "dev", tapName, "mode", "tap");
      taps.push(tapName);
      return { tapName, hardwareAddress: "52:54:00:00:00:01" };
    },
    // Nobody is there to release them.
    async keepNics() {},
    async addForeign(name, uuid, theirs) {
      const metadata =
        theirs === undefined
          ? ""
          : `<metadata><domain xmlns='${METADATA_NAMESPACE}' prefix='${theirs.prefix}' owner='${theirs.owner}' transactionId='${theirs.transactionId}'/></metadata>`;
      const xml = `<domain type='qemu'><name>${prefix}${name}</name><uuid>${uuid}</uuid>${metadata}<memory unit='MiB'>64</memory>
        <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`;
      const path = `${baseDirectory}-foreign.xml`;
      await writeFile(path, xml);
      await run("virsh", "-q", "define", path);
      await rm(path);
      foreign.push(uuid);
    },
    async isForeignIntact(name, uuid) {
      const shown = await run("virsh", "-q", "dominfo", uuid);
      return shown.includes(`${prefix}${name}\n`) && /State:\s+shut off/.test(shown);
    },
    hasFolder: (name) =>
      access(`${baseDirectory}/vm/${name}`).then(
        () => true,
        () => false,
      ),
    powerOff: (name) => kill(name, "SIGTERM"),
    crash: (name) => kill(name, "SIGKILL"),
    async diskSizeBytes(path) {
      const info: unknown = JSON.parse(await run("qemu-img", "info", "--output=json", path));
      return BigInt((info as { "virtual-size": number })["virtual-size"]);
    },
    async [Symbol.asyncDispose]() {
      const signal = AbortSignal.timeout(30_000);
      const listed = await driver.list(signal);
      for (const name of names) {
        const owner = listed.find((domain) => domain.name === name)?.mark.owner ?? "";
        await driver.ensureAbsent(name, { owner }, signal);
        await rm(`${baseDirectory}/vm/${name}`, { recursive: true, force: true });
        // libvirt keeps the log of each domain that it ever started.
        await rm(`/var/log/libvirt/qemu/${prefix}${name}.log`, { force: true });
      }
      for (const uuid of foreign) await run("virsh", "-q", "undefine", uuid);
      for (const tap of taps) await run("ip", "link", "del", "dev", tap);
      for (const path of disks) await rm(path);
    },
  };
}

export interface Proxy extends AsyncDisposable {
  /** Ends all connections and refuses new ones, like a killed daemon. */
  cut(): Promise<void>;
  /** Accepts connections again. */
  restore(): Promise<void>;
  /** Passes nothing on, like a hanging daemon. */
  setHung(isHung: boolean): void;
}

/** A proxy in front of libvirtd's socket, so that a test can close it and leave the daemon alone. */
export async function openProxy(path: string, target: string): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let server: Server;
  let isHungNow = false;
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server = createServer((client) => {
        const daemon = connectSocket(target);
        for (const [from, to] of [
          [client, daemon],
          [daemon, client],
        ] as const) {
          sockets.add(from);
          from.on("data", (chunk) => to.write(chunk));
          from.on("close", () => {
            sockets.delete(from);
            to.destroy();
          });
          // "close" follows.
          from.on("error", () => {});
          if (isHungNow) from.pause();
        }
      });
      server.once("error", reject);
      server.listen(path, resolve);
    });
  const cut = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  await listen();
  return {
    cut,
    restore: listen,
    setHung(isHung) {
      isHungNow = isHung;
      for (const socket of sockets) {
        if (isHung) socket.pause();
        else socket.resume();
      }
    },
    [Symbol.asyncDispose]: async () => {
      if (server.listening) await cut();
    },
  };
}
