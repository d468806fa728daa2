import { existsSync, readdirSync, readFileSync } from "node:fs";
import { must } from "../e2e/program.ts";

const CLAIMS = "/run/n0stack-lab";

/**
 * Everything on this computer that belongs to the labs of these folders or numbers, found without the lab's own
 * code. Empty if they have left nothing.
 */
export async function tracesOf(folder: string, number: string): Promise<readonly string[]> {
  const links = JSON.parse(await must("ip", ["-json", "link", "show"])) as { ifname: string }[];
  const namespaces = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...(existsSync(folder) ? [`folder ${folder}`] : []),
    ...(existsSync(`${CLAIMS}/${number}`) ? [`${CLAIMS}/${number}`] : []),
    ...links
      .filter(({ ifname }) => ifname === `n0lab${number}`)
      .map(({ ifname }) => `link ${ifname}`),
    ...namespaces.filter((name) => name.startsWith(`n0lab${number}-`)),
    ...mounts.filter((line) => line.includes(folder)),
    ...processesNaming(folder),
  ];
}

/** QEMU names its files as in its host, so it does not show here; it cannot outlive the host's first process. */
function processesNaming(folder: string): readonly string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    if (pid === String(process.pid)) return [];
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words.some((word) => word.includes(folder)) ? [`${pid}: ${words.join(" ")}`] : [];
    } catch {
      // It has ended.
      return [];
    }
  });
}
