import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { processesBelow } from "../../src/driver/network/netns/services/dnsmasq.ts";
import { madeBy, must, PROJECT, run } from "./program.ts";
import { scan } from "./scan.ts";

/** The share of the host of this test file: other instances and other runs may use the rest. */
export interface Place extends AsyncDisposable {
  /** At most 16 characters, because names of devices contain it. */
  readonly prefix: string;
  /** At most 28 bytes, because sockets lie below it. */
  readonly baseDirectory: string;
  /** The example's private key, in a file that only its owner can read, as ssh requires. */
  readonly keyFile: string;
  /** The folder of n0cli's own files. */
  readonly configHome: string;
}

/** The tiny image where the agent may fetch it: `<base>/images/tiny.qcow2`. */
export async function newPlace(): Promise<Place> {
  const id = randomBytes(3).toString("hex");
  const prefix = `n0e${id}-`;
  const baseDirectory = `/tmp/n0e-${id}`;
  const keyFile = join(baseDirectory, "test", "key");
  await mkdir(join(baseDirectory, "images"), { recursive: true, mode: 0o755 });
  await mkdir(join(baseDirectory, "test"), { recursive: true });
  await copyFile(
    await madeBy("scripts/image/tiny.sh", 180_000),
    join(baseDirectory, "images", "tiny.qcow2"),
  );
  await copyFile(join(PROJECT, "examples/id_ed25519"), keyFile);
  await chmod(keyFile, 0o600);
  return {
    prefix,
    baseDirectory,
    keyFile,
    configHome: join(baseDirectory, "test", "config"),
    async [Symbol.asyncDispose]() {
      await removeRemains(prefix, baseDirectory);
      await rm(baseDirectory, { recursive: true, force: true });
    },
  };
}

/** For a test that failed half-way: its remains must not disturb the next one. */
async function removeRemains(prefix: string, baseDirectory: string): Promise<void> {
  const { domains, namespaces, links, tables } = await scan(prefix);
  for (const domain of domains) {
    // The first fails if it does not run, the second if it was never defined.
    await run("virsh", ["-q", "destroy", domain]);
    await run("virsh", ["-q", "undefine", domain]);
  }
  for (const { pid } of processesBelow(join(baseDirectory, "services"))) {
    process.kill(pid, "SIGKILL");
  }
  for (const name of namespaces) await must("ip", ["netns", "delete", name]);
  // A veth is removed with its namespace.
  for (const name of links) await run("ip", ["link", "delete", name]);
  for (const table of tables) await must("nft", ["delete", "table", ...table.split(" ")]);
}
