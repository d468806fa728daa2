import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { BASE_DIRECTORY, MADE_FILE, OWN_FOLDER } from "./places.ts";

/** What the quickstart made, so that it removes that and nothing else. Written before it is made. */
export interface Made {
  readonly baseDirectory: boolean;
  readonly image: boolean;
  /** It has been ready: there may be anything in it. */
  readonly n0core: boolean;
  /** What examples/boot-vm.yaml makes. */
  readonly example: boolean;
}

export function readMade(): Made {
  const nothing: Made = { baseDirectory: false, image: false, n0core: false, example: false };
  if (!existsSync(MADE_FILE)) return nothing;
  return { ...nothing, ...(JSON.parse(readFileSync(MADE_FILE, "utf8")) as Partial<Made>) };
}

/** Adds to the record, whole or not. */
export function recordMade(more: Partial<Made>): void {
  // One that is there and empty may be ours, of a run that ended right here.
  const isNew = !existsSync(BASE_DIRECTORY) || readdirSync(BASE_DIRECTORY).length === 0;
  mkdirSync(OWN_FOLDER, { recursive: true, mode: 0o750 });
  const made: Made = { ...readMade(), ...(isNew ? { baseDirectory: true } : {}), ...more };
  writeFileSync(`${MADE_FILE}.new`, `${JSON.stringify(made, null, 2)}\n`);
  renameSync(`${MADE_FILE}.new`, MADE_FILE);
}
