import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { PROJECT } from "./program.ts";

/** The base directory of the examples. */
const WRITTEN_FOR = "/var/lib/n0core/";
/**
 * The virtual machine of the examples, with a name that no other test file uses: its taps would have the same
 * names, and a node has each name only once.
 */
export const EXAMPLE_VM = `example-vm-${process.pid}`;
/** A line of every CreateVirtualMachine in them. */
const ARGUMENT = "    login_username: n0\n";

/**
 * A file of examples/ as a user would write it for another base directory, with another virtual machine. It
 * also has a UUID: libvirt may have given the UUID of the name to another instance.
 */
export async function example(name: string, baseDirectory: string): Promise<string> {
  const text = await readFile(join(PROJECT, "examples", `${name}.yaml`), "utf8");
  return text
    .replaceAll("example-vm", EXAMPLE_VM)
    .replaceAll(WRITTEN_FOR, `${baseDirectory}/`)
    .replaceAll(ARGUMENT, () => `${ARGUMENT}    uuid: ${randomUUID()}\n`);
}
