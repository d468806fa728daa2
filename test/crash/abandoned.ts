import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { removeRemains } from "./remains.ts";

const PARENT = "/tmp";
const NAME = /^n0x-([0-9a-f]{6})$/;
const NODES_MAX = 2;

/** Names the process that uses the folder. */
const OWNER = "owner";

/** Makes the folder of a cluster, marked as this process's. */
export function makeFolder(id: string): string {
  const folder = join(PARENT, `n0x-${id}`);
  mkdirSync(folder);
  writeFileSync(join(folder, OWNER), `${process.pid} ${startOf(process.pid)}`);
  return folder;
}

export function prefixOf(id: string, place: number): string {
  return `n0x${id}${place}-`;
}

/** Removes what killed runs have left: servers, guests, networks, mounts, files. */
export async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(PARENT)) {
    const [, id] = NAME.exec(name) ?? [];
    const folder = join(PARENT, name);
    if (id === undefined || isOwned(folder)) continue;
    killAll(
      (commandLine) => commandLine.includes(`${folder}/`) || commandLine.includes(`=n0x${id}`),
    );
    for (let place = 1; place <= NODES_MAX; place++) {
      await removeRemains(prefixOf(id, place), "qemu:///system");
    }
    for (const mounted of mountsBelow(folder)) execFileSync("umount", ["--lazy", mounted]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether a living process uses it. A folder whose process has not marked it yet counts as in use. */
function isOwned(folder: string): boolean {
  const path = join(folder, OWNER);
  if (!existsSync(path)) return true;
  const [pid, start] = readFileSync(path, "utf8").split(" ");
  return start === startOf(Number(pid));
}

/**
 * When a process began, in clock ticks since the boot of the host: another process may have its number by now.
 */
function startOf(pid: number): string | undefined {
  try {
    // The name, in parentheses, may contain any text.
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")[19];
  } catch {
    return undefined;
  }
}

function killAll(isMeant: (commandLine: string) => boolean): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const isOther = Number(pid) !== process.pid;
      if (isOther && isMeant(readFileSync(`/proc/${pid}/cmdline`, "utf8"))) {
        process.kill(Number(pid), "SIGKILL");
      }
    } catch {
      // The process has ended in the meantime.
    }
  }
}

/** The innermost first. */
function mountsBelow(folder: string): string[] {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return points.filter((point) => point.startsWith(`${folder}/`)).toReversed();
}
