import { readdir, readFile } from "node:fs/promises";
import Database from "better-sqlite3";
import { isAlwaysThere, isHistory } from "../history.ts";
import { must } from "./program.ts";

/** Everything with the prefix of one instance on this host, found without the project's code. */
export interface Scan {
  /** The names of domains in libvirt, running or not. */
  readonly domains: readonly string[];
  /** The process ids of QEMU. */
  readonly processes: readonly string[];
  readonly namespaces: readonly string[];
  /** The devices of the host's own namespace. */
  readonly links: readonly string[];
  /** In the form `inet name`. */
  readonly tables: readonly string[];
}

export async function scan(prefix: string): Promise<Scan> {
  const [domains, links, tables] = await Promise.all([
    must("virsh", ["list", "--all", "--name"]),
    must("ip", ["-json", "link", "show"]),
    must("nft", ["list", "tables"]),
  ]);
  const namespaces = await readdir("/run/netns").catch(() => []);
  const own = (JSON.parse(links) as readonly { ifname: string; ifalias?: string }[]).filter(
    ({ ifalias }) => ifalias?.startsWith(`n0stack:${prefix}:`),
  );
  return {
    domains: lines(domains).filter((name) => name.startsWith(prefix)),
    processes: await processesOf(prefix),
    namespaces: namespaces.filter((name) => name.startsWith(prefix)).sort(),
    links: own.map(({ ifname }) => ifname),
    tables: lines(tables)
      .map((line) => line.replace(/^table /, ""))
      .filter((table) => table.includes(prefix)),
  };
}

/** Every path below a folder, sorted. */
export async function filesBelow(folder: string): Promise<readonly string[]> {
  return (await readdir(folder, { recursive: true, encoding: "utf8" })).sort();
}

/**
 * The keys of all records without the history; a transaction that is still open counts. The server keeps the
 * file for itself, so it must have ended.
 */
export function recordKeys(baseDirectory: string): readonly string[] {
  const database = new Database(`${baseDirectory}/api/n0core.sqlite`, { readonly: true });
  try {
    const rows = database.prepare("SELECT key FROM record ORDER BY key").all() as { key: string }[];
    return rows.map(({ key }) => key).filter((key) => !isHistory(key) && !isAlwaysThere(key));
  } finally {
    database.close();
  }
}

/** By their command line, which contains libvirt's name of the guest. */
async function processesOf(prefix: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: string[] = [];
  for (const pid of pids) {
    // A process may end while it is read.
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (commandLine.includes(`guest=${prefix}`)) found.push(pid);
  }
  return found;
}

function lines(text: string): readonly string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}
