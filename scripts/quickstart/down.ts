import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCode, isAbsent } from "../../src/util/errno.ts";
import { listObjects, removeExample } from "./example.ts";
import type { Made } from "./made.ts";
import { isForwarding, readMade } from "./made.ts";
import { findN0core, startN0core, stopN0core } from "./n0core.ts";
import { BASE_DIRECTORY, IMAGE, LIBVIRTD_RECORD, OWN_FOLDER } from "./places.ts";
import { must } from "./programs.ts";
import { elapsedSeconds, say, step } from "./progress.ts";

/** The entries of its base directory. Images belong to the user. */
const N0CORE_MAKES = [
  "api",
  "api.lock",
  "agent.lock",
  "token",
  "services",
  "volumes",
  "vm",
] as const;

/** Removes what the quickstart made, and nothing else. Can be repeated. */
export async function down(): Promise<void> {
  if (!existsSync(OWN_FOLDER)) {
    console.log("The quickstart has made nothing here.");
    return;
  }
  const made = readMade();
  // An n0core that was never ready has made nothing, and might not start now either.
  const others = made.n0core ? await step("the example", () => takeExample(made)) : [];
  const running = findN0core();
  if (running !== undefined) await step("n0core", () => stopN0core(running));
  await step("libvirtd, if the quickstart started it", async () => {
    await must("scripts/host/stop-libvirtd.sh", ["--record", LIBVIRTD_RECORD]);
  });
  await step("files", async () => removeFiles(made, others));
  console.log(
    `\nDone in ${elapsedSeconds().toFixed(0)} s. This leaves the Debian packages, node_modules, and .cache with the image.`,
  );
  if (made.wasForwardingOff === true && isForwarding()) {
    console.log(
      "n0core has turned net.ipv4.ip_forward on. If nothing else needs it now: sysctl -w net.ipv4.ip_forward=0",
    );
  }
}

/** Returns the other objects in the cloud. */
async function takeExample(made: Made): Promise<readonly string[]> {
  if (findN0core() === undefined) {
    say("  n0core does not run; the quickstart starts it again to remove what it made");
    await must("scripts/host/ensure-libvirtd.sh", ["--record", LIBVIRTD_RECORD]);
    await startN0core();
  }
  if (made.example) await removeExample(await listObjects());
  return [...(await listObjects())];
}

function removeFiles(made: Made, others: readonly string[]): void {
  if (existsSync(LIBVIRTD_RECORD)) {
    say(`  ${OWN_FOLDER} and libvirtd stay; run this again when no guest runs`);
    return;
  }
  if (made.image) rmSync(IMAGE, { force: true });
  removeIfEmpty(dirname(IMAGE));
  if (made.baseDirectory && others.length === 0) {
    for (const name of N0CORE_MAKES) {
      rmSync(join(BASE_DIRECTORY, name), { recursive: true, force: true });
    }
  }
  // Last, because it holds the record of what to remove.
  rmSync(OWN_FOLDER, { recursive: true, force: true });
  if (made.baseDirectory) removeIfEmpty(BASE_DIRECTORY);
  const left = existsSync(BASE_DIRECTORY) ? readdirSync(BASE_DIRECTORY) : [];
  const what = others.length > 0 ? others : left;
  if (what.length > 0) {
    say(
      `  ${BASE_DIRECTORY} stays: it holds ${what.join(", ")}, which the quickstart did not make`,
    );
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (errorCode(error) !== "ENOTEMPTY" && !isAbsent(error)) throw error;
  }
}
