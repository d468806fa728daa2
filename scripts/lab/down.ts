import { rmSync } from "node:fs";
import { findLab, releaseLab } from "./claim.ts";
import { isLabFolder, removeLabFolder } from "./folder.ts";
import type { Host, Lab } from "./lab.ts";
import { removeLink, removeNetwork } from "./network.ts";
import { killAll } from "./processes.ts";

/**
 * Removes everything of the lab in this folder: processes, namespaces, links, files. Can be repeated, and does not
 * need anything of the lab to be whole.
 *
 * @returns whether there was something.
 */
export async function down(folder: string): Promise<boolean> {
  const lab = findLab(folder);
  if (lab === undefined && !isLabFolder(folder)) return false;
  if (lab !== undefined) await removeRunning(lab);
  removeLabFolder(folder);
  // Last, because it leads to all of this.
  if (lab !== undefined) releaseLab(lab);
  return true;
}

/** The host with its files. */
export async function removeHost(host: Host): Promise<void> {
  await killAll(host.lab, (one) => one.host === host.name);
  await removeLink(host);
  rmSync(host.folder, { recursive: true, force: true });
}

async function removeRunning(lab: Lab): Promise<void> {
  await killAll(lab, () => true);
  await removeNetwork(lab);
}
