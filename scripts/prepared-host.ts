import { mkdirSync } from "node:fs";
import process from "node:process";
import { styleText } from "node:util";
import { runShown } from "./run-shown.ts";

const HOST = "scripts/host";
export const TEST_FOLDER = ".cache/test";
/** One for each run: two at once must not end each other's libvirtd. */
const LIBVIRTD_RECORD = `${TEST_FOLDER}/libvirtd.${process.pid}`;

/** On CI everything is to run; elsewhere the tests that need it say that they are skipped. */
export async function prepare(what: string, command: string, ...args: string[]): Promise<void> {
  console.log(styleText("bold", `\n== ${what}`));
  if (await runShown(command, ...args)) return;
  if (process.env["CI"] === "true") {
    throw new Error(`${what}: failed, and CI=true: everything must run here`);
  }
  console.warn(
    styleText("yellow", `SKIPPED: ${what}; the tests that need it do not run on this machine`),
  );
}

/**
 * Runs tests on a machine with the sets of packages and a libvirtd, and leaves it as it was but for the
 * packages: ends the libvirtd that it started, and no other, whatever happens.
 */
export async function onPreparedHost<T>(
  packageSets: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  // The children get it too and end; what was started here is still to be ended.
  process.on("SIGINT", () => {}).on("SIGTERM", () => {});
  mkdirSync(TEST_FOLDER, { recursive: true });
  try {
    await prepare("Debian packages", `${HOST}/ensure-packages.sh`, ...packageSets);
    await prepare("libvirtd", `${HOST}/ensure-libvirtd.sh`, "--record", LIBVIRTD_RECORD);
    return await work();
  } finally {
    await runShown(`${HOST}/stop-libvirtd.sh`, "--record", LIBVIRTD_RECORD);
  }
}
