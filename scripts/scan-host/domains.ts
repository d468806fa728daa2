import { readdir, readFile, readlink } from "node:fs/promises";
import { byKey, lines, read } from "./tools.ts";

export interface Domain {
  readonly state: string;
  /** What it is made from, without what libvirt adds while it runs. */
  readonly definition: readonly string[];
}

/** Domains of the prefix, running or not. */
export async function readDomains(
  libvirtUri: string,
  prefix: string,
): Promise<Record<string, Domain>> {
  const virsh = (...args: string[]) => read("virsh", "--connect", libvirtUri, "--quiet", ...args);
  const names = lines(await virsh("list", "--all", "--name")).filter((n) => n.startsWith(prefix));
  const describe = async (name: string): Promise<Domain> => {
    const [state, xml] = await Promise.all([
      virsh("domstate", name),
      virsh("dumpxml", "--inactive", name),
    ]);
    return { state: state.trim(), definition: lines(xml).map((line) => line.trim()) };
  };
  return byKey(await Promise.all(names.map(async (name) => [name, await describe(name)] as const)));
}

/** What a domain's definition names, for comparing it with a record. */
export function partsOf({ definition }: Domain) {
  const text = definition.join("\n");
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, found]) => found ?? "");
  return {
    uuid: all(/<uuid>(.*?)<\/uuid>/g)[0] ?? "",
    memoryKibibytes: all(/<memory unit='KiB'>(\d+)</g)[0] ?? "",
    vcpus: all(/<vcpu[^>]*>(\d+)</g)[0] ?? "",
    volumeIds: all(/<source file='[^']*\/volumes\/([^'/]+)\.qcow2'/g),
    hardwareAddresses: all(/<mac address='([^']+)'/g),
    taps: all(/<interface type='ethernet'>[^]*?<target dev='([^']+)'/g),
  };
}

/**
 * Processes that work for the place: guests by their name, tools by a path below the base directory. The
 * servers themselves, and whoever looks, are not among them.
 */
export async function readProcesses(prefix: string, baseDirectory: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: string[] = [];
  for (const pid of pids) {
    // One may end while it is looked at.
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const program = words[0]?.split("/").at(-1) ?? "";
    const guest = words.find((word) => word.startsWith(`guest=${prefix}`));
    if (guest !== undefined) found.push(`${program} ${guest.split(",")[0]}`);
    else if (/^(?:qemu-img|qemu-nbd|socat|ip|nft|cp)$/.test(program)) {
      const paths = [...words, await imageOf(pid)];
      const path = paths.find((word) => word.includes(`${baseDirectory}/`));
      if (path !== undefined) found.push(`${program} ${path.replace(/^.*\//, "")}`);
    }
  }
  return found.sort();
}

/** A qemu-img in a sandbox has its image open and does not know its name. */
async function imageOf(pid: string): Promise<string> {
  return await readlink(`/proc/${pid}/fd/3`).catch(() => "");
}
