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

/** The things that the quickstart made, so that it removes only those. Written before each is made. */
export interface Made {
  readonly baseDirectory: boolean;
  readonly image: boolean;
  /** n0core has been ready, so its cloud may hold anything. */
  readonly n0core: boolean;
  /** The objects of examples/boot-vm.yaml. */
  readonly example: boolean;
  /** The build of each (builds.ts). One from before builds were recorded has none. */
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
      `${MADE_FILE} is damaged (${error.message}); it lists what the quickstart made: repair it`,
    );
  }
}

/** Adds to the record, whole or not at all. */
export function recordMade(more: Partial<Made>): void {
  // An existing empty folder may be ours, from a run that ended right here.
  const isNew = !existsSync(BASE_DIRECTORY) || readdirSync(BASE_DIRECTORY).length === 0;
  mkdirSync(BASE_DIRECTORY, { recursive: true, mode: 0o711 });
  mkdirSync(OWN_FOLDER, { recursive: true, mode: 0o750 });
  const made: Made = { ...readMade(), ...(isNew ? { baseDirectory: true } : {}), ...more };
  if (made.baseDirectory) openToQemu(BASE_DIRECTORY);
  writeFileSync(`${MADE_FILE}.new`, `${JSON.stringify(made, null, 2)}\n`);
  renameSync(`${MADE_FILE}.new`, MADE_FILE);
}

/** QEMU's user must be able to pass through it. An earlier version closed it. */
function openToQemu(folder: string): void {
  chmodSync(folder, (statSync(folder).mode & 0o777) | 0o011);
}

/** Whether this host forwards packets. n0core turns that on, and does not turn it off. */
export function isForwarding(): boolean {
  return readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
}
