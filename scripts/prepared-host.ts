import { mkdirSync } from "node:fs";
import process from "node:process";
import { styleText } from "node:util";
import { Failure } from "./run-program.ts";
import { runShown } from "./run-shown.ts";

const HOST = "scripts/host";
export const TEST_FOLDER = ".cache/test";
/** One for each run: two at once must not end each other's libvirtd. */
const LIBVIRTD_RECORD = `${TEST_FOLDER}/libvirtd.${process.pid}`;

/** Prepares one thing by a program that says itself what is missing. */
export type Prepare = (what: string, command: string, ...args: string[]) => Promise<void>;

/** On CI everything is to run; elsewhere the tests that need it say that they are skipped. */
export const prepareOrSkip: Prepare = async (what, command, ...args) => {
  console.log(styleText("bold", `\n== ${what}`));
  if (await runShown(command, ...args)) return;
  if (process.env["CI"] === "true") {
    throw new Failure(`${what}: failed, and CI=true: everything must run here`);
  }
  console.warn(
    styleText("yellow", `SKIPPED: ${what}; the tests that need it do not run on this machine`),
  );
};

/** For what means nothing where a part of the host is missing. @throws Failure then. */
export const prepareOrEnd: Prepare = async (_what, command, ...args) => {
  if (!(await runShown(command, ...args))) throw new Failure();
};

/** @throws Failure for anybody but root; `otherwise` ends what it says. */
export function mustBeRoot(name: string, otherwise = ""): void {
  if (process.getuid?.() === 0) return;
  throw new Failure(`needs root, for libvirt and networks: sudo npm run ${name}${otherwise}`);
}

/**
 * Does `work` on a machine with the sets of packages and a libvirtd, and leaves it as it was but for the
 * packages: ends the libvirtd that it started, and no other, whatever happens.
 */
export async function onPreparedHost<T>(
  prepare: Prepare,
  packageSets: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  // Whoever is running then is told, and ends; what was started here is still to be ended.
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
