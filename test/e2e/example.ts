import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PROJECT } from "./program.ts";

/** The base directory that the examples are written for. */
const WRITTEN_FOR = "/var/lib/n0core/";
/** Stands in every CreateVirtualMachine of them. */
const ARGUMENT = "    login_username: n0\n";

/**
 * A file of examples/ as its user would write it for another base directory, with a uuid besides: the
 * one that its name gives may be taken in libvirt, by the same example of another instance.
 */
export async function example(name: string, baseDirectory: string): Promise<string> {
  const text = await readFile(join(PROJECT, "examples", `${name}.yaml`), "utf8");
  return text
    .replaceAll(WRITTEN_FOR, `${baseDirectory}/`)
    .replaceAll(ARGUMENT, () => `${ARGUMENT}    uuid: ${randomUUID()}\n`);
}
