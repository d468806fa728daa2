import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { madeBy, must, PROJECT, run } from "./program.ts";
import { scan } from "./scan.ts";

/** This test file's own share of the machine: other instances and other runs may be on it. */
export interface Place extends AsyncDisposable {
  /** At most 16 characters, for what bears it. */
  readonly prefix: string;
  /** At most 28 bytes: sockets lie below it. */
  readonly baseDirectory: string;
  /** The example's private key, readable by nobody else, as ssh wants it. */
  readonly keyFile: string;
  /** Where n0cli keeps what it knows. */
  readonly configHome: string;
}

/** The tiny image lies where the agent may fetch it: `<base>/images/tiny.qcow2`. */
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
      await removeRemains(prefix);
      await rm(baseDirectory, { recursive: true, force: true });
    },
  };
}

/** For a test that failed half-way: what it left must not disturb the next one. */
async function removeRemains(prefix: string): Promise<void> {
  const { domains, namespaces, links, tables } = await scan(prefix);
  for (const domain of domains) {
    // The one fails where it does not run, the other where it was never defined.
    await run("virsh", ["-q", "destroy", domain]);
    await run("virsh", ["-q", "undefine", domain]);
  }
  for (const name of namespaces) await must("ip", ["netns", "delete", name]);
  // A veth goes with its namespace.
  for (const name of links) await run("ip", ["link", "delete", name]);
  for (const table of tables) await must("nft", ["delete", "table", ...table.split(" ")]);
}
