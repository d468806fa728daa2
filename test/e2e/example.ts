import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { PROJECT } from "./program.ts";

/** The base directory that the examples are written for. */
const WRITTEN_FOR = "/var/lib/n0core/";
/**
 * The virtual machine of the examples, with a name that no other test file has: its taps would have the same
 * names, and a node has each once.
 */
export const EXAMPLE_VM = `example-vm-${process.pid}`;
/** Stands in every CreateVirtualMachine of them. */
const ARGUMENT = "    login_username: n0\n";

/**
 * A file of examples/ as its user would write it for another base directory, with another virtual machine.
 * It has a UUID besides: libvirt may have given the one that the name gives to another instance.
 */
export async function example(name: string, baseDirectory: string): Promise<string> {
  const text = await readFile(join(PROJECT, "examples", `${name}.yaml`), "utf8");
  return text
    .replaceAll("example-vm", EXAMPLE_VM)
    .replaceAll(WRITTEN_FOR, `${baseDirectory}/`)
    .replaceAll(ARGUMENT, () => `${ARGUMENT}    uuid: ${randomUUID()}\n`);
}
