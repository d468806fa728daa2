import { existsSync, rmdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { listObjects, removeExample } from "./example.ts";
import type { Made } from "./made.ts";
import { readMade } from "./made.ts";
import { findN0core, startN0core, stopN0core } from "./n0core.ts";
import { BASE_DIRECTORY, IMAGE, LIBVIRTD_RECORD, OWN_FOLDER } from "./places.ts";
import { must } from "./programs.ts";
import { elapsedSeconds, say, step } from "./progress.ts";

/** Removes what the quickstart made, and nothing else. Can be repeated. */
export async function down(): Promise<void> {
  if (!existsSync(OWN_FOLDER)) {
    console.log("There is nothing that the quickstart made.");
    return;
  }
  const made = readMade();
  // One that was never ready holds nothing, and might not start now either.
  const others = made.n0core ? await step("the example", () => takeExample(made)) : [];
  const running = findN0core();
  if (running !== undefined) await step("n0core", () => stopN0core(running));
  await step("libvirtd, if the quickstart started it", async () => {
    await must("scripts/host/stop-libvirtd.sh", ["--record", LIBVIRTD_RECORD]);
  });
  await step("files", async () => removeFiles(made, others));
  console.log(
    `\nDone in ${elapsedSeconds().toFixed(0)} s. Left: the Debian packages, node_modules, and .cache with the image.`,
  );
}

/** Returns what else there is. */
async function takeExample(made: Made): Promise<readonly string[]> {
  if (findN0core() === undefined) {
    say("  n0core does not run; it is started once more, to remove what it made");
    await must("scripts/host/ensure-libvirtd.sh", ["--record", LIBVIRTD_RECORD]);
    await startN0core();
  }
  if (made.example) await removeExample(await listObjects());
  return [...(await listObjects())];
}

function removeFiles(made: Made, others: readonly string[]): void {
  if (existsSync(LIBVIRTD_RECORD)) {
    say(`  ${OWN_FOLDER} stays, as libvirtd does; run this again when no guest runs`);
    return;
  }
  if (made.image) rmSync(IMAGE, { force: true });
  rmSync(OWN_FOLDER, { recursive: true, force: true });
  if (others.length > 0) {
    say(
      `  ${BASE_DIRECTORY} stays: it keeps ${others.join(", ")}, which the quickstart did not make`,
    );
  } else if (made.baseDirectory) {
    rmSync(BASE_DIRECTORY, { recursive: true, force: true });
  } else if (made.image) {
    removeIfEmpty(dirname(IMAGE));
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "ENOENT") throw error;
  }
}
