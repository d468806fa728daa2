import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { BASE_DIRECTORY, MADE_FILE, OWN_FOLDER } from "./places.ts";
import { QuickstartError } from "./progress.ts";

/** What the quickstart made, so that it removes that and nothing else. Written before it is made. */
export interface Made {
  readonly baseDirectory: boolean;
  readonly image: boolean;
  /** It has been ready: there may be anything in it. */
  readonly n0core: boolean;
  /** What examples/boot-vm.yaml makes. */
  readonly example: boolean;
  /** Which build each is of (builds.ts); one from before it was recorded has none. */
  readonly n0coreBuild?: string;
  readonly exampleBuild?: string;
  /** n0core turns net.ipv4.ip_forward on, and it was off. */
  readonly wasForwardingOff?: boolean;
}

export function readMade(): Made {
  const nothing: Made = { baseDirectory: false, image: false, n0core: false, example: false };
  if (!existsSync(MADE_FILE)) return nothing;
  try {
    return { ...nothing, ...(JSON.parse(readFileSync(MADE_FILE, "utf8")) as Partial<Made>) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new QuickstartError(
      `${MADE_FILE} is damaged (${error.message}); it says what the quickstart made: repair it`,
    );
  }
}

/** Adds to the record, whole or not. */
export function recordMade(more: Partial<Made>): void {
  // One that is there and empty may be ours, of a run that ended right here.
  const isNew = !existsSync(BASE_DIRECTORY) || readdirSync(BASE_DIRECTORY).length === 0;
  mkdirSync(BASE_DIRECTORY, { recursive: true, mode: 0o711 });
  mkdirSync(OWN_FOLDER, { recursive: true, mode: 0o750 });
  const made: Made = { ...readMade(), ...(isNew ? { baseDirectory: true } : {}), ...more };
  if (made.baseDirectory) openToQemu(BASE_DIRECTORY);
  writeFileSync(`${MADE_FILE}.new`, `${JSON.stringify(made, null, 2)}\n`);
  renameSync(`${MADE_FILE}.new`, MADE_FILE);
}

/** QEMU's user must pass through it; a version before made it closed. */
function openToQemu(folder: string): void {
  chmodSync(folder, (statSync(folder).mode & 0o777) | 0o011);
}

/** Whether this machine passes packets on, which n0core turns on and leaves so. */
export function isForwarding(): boolean {
  return readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
}
