import { readdir, readFile, readlink } from "node:fs/promises";
import { byKey, lines, read } from "./tools.ts";

export interface Domain {
  readonly state: string;
  /** The parts of its definition, without those that libvirt adds while it runs. */
  readonly definition: readonly string[];
}

/** The domains of the prefix, running or not. */
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

/** The parts of a domain's definition, to compare them with a record. */
export function partsOf({ definition }: Domain) {
  const text = definition.join("\n");
  const allIn = (part: string, pattern: RegExp) =>
    [...part.matchAll(pattern)].map(([, found]) => found ?? "");
  const all = (pattern: RegExp) => allIn(text, pattern);
  // Without the files that an overlay rests on, which come after its own.
  const disks = text.split("</disk>").map((disk) => disk.replace(/<backingStore\b[^]*/, ""));
  return {
    uuid: all(/<uuid>(.*?)<\/uuid>/g)[0] ?? "",
    memoryKibibytes: all(/<memory unit='KiB'>(\d+)</g)[0] ?? "",
    vcpus: all(/<vcpu[^>]*>(\d+)</g)[0] ?? "",
    volumeIds: disks.flatMap((disk) =>
      allIn(disk, /<source file='[^']*\/volumes\/([^'/]+)\.qcow2'/g),
    ),
    hardwareAddresses: all(/<mac address='([^']+)'/g),
    taps: all(/<interface type='ethernet'>[^]*?<target dev='([^']+)'/g),
  };
}

/**
 * The processes of the place: guests by their name, tools by a path below the base directory. Servers, and the
 * programs that scan, do not count.
 */
export async function readProcesses(prefix: string, baseDirectory: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: string[] = [];
  for (const pid of pids) {
    // A process may end while it is read.
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const program = words[0]?.split("/").at(-1) ?? "";
    const guest = words.find((word) => word.startsWith(`guest=${prefix}`));
    if (guest !== undefined) found.push(`${program} ${guest.split(",")[0]}`);
    else if (program === "dnsmasq") {
      const config = words.find((word) => word.startsWith(`--conf-file=${baseDirectory}/`));
      if (config !== undefined) found.push(`dnsmasq network=${config.split("/").at(-2)}`);
    } else if (/^(?:qemu-img|qemu-nbd|socat|ip|nft|cp)$/.test(program)) {
      const paths = [...words, await imageOf(pid)];
      const path = paths.find((word) => word.includes(`${baseDirectory}/`));
      if (path !== undefined) found.push(`${program} ${path.replace(/^.*\//, "")}`);
    }
  }
  return found.sort();
}

/** A qemu-img in a sandbox has its image open and does not know its path. */
async function imageOf(pid: string): Promise<string> {
  return await readlink(`/proc/${pid}/fd/3`).catch(() => "");
}
