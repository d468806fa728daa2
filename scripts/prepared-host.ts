import { mkdirSync } from "node:fs";
import process from "node:process";
import { styleText } from "node:util";
import { Failure } from "./run-program.ts";
import { runShown } from "./run-shown.ts";

const HOST = "scripts/host";
export const TEST_FOLDER = ".cache/test";
/** One file for each run: two runs at the same time must not end each other's libvirtd. */
const LIBVIRTD_RECORD = `${TEST_FOLDER}/libvirtd.${process.pid}`;

/** Prepares one thing by a program that reports itself what is missing. */
export type Prepare = (what: string, command: string, ...args: string[]) => Promise<void>;

/** On CI every test must run. Elsewhere, tests without their requirements report that they are skipped. */
export const prepareOrSkip: Prepare = async (what, command, ...args) => {
  console.log(styleText("bold", `\n== ${what}`));
  if (await runShown(command, ...args)) return;
  if (process.env["CI"] === "true") {
    throw new Failure(`${what}: failed, and CI=true: everything must run here`);
  }
  console.warn(
    styleText("yellow", `SKIPPED: ${what}; the tests that need it do not run on this host`),
  );
};

/** For runs that need every part of the host. @throws Failure if a part is missing. */
export const prepareOrEnd: Prepare = async (_what, command, ...args) => {
  if (!(await runShown(command, ...args))) throw new Failure();
};

/** @throws Failure for every user but root. `otherwise` is the end of its message. */
export function mustBeRoot(name: string, otherwise = ""): void {
  if (process.getuid?.() === 0) return;
  throw new Failure(`needs root, for libvirt and networks: sudo npm run ${name}${otherwise}`);
}

/**
 * Does `work` on a host with the packages and a libvirtd. Afterwards the host is as before, except for the
 * packages: this ends the libvirtd that it started, and no other, whatever happens.
 */
export async function onPreparedHost<T>(
  prepare: Prepare,
  packageSets: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  // The running child gets the signal and ends. Afterwards this ends what it started here.
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

export function prepareTinyImage(prepare: Prepare): Promise<void> {
  return prepare("tiny guest image", "scripts/image/tiny.sh");
}
