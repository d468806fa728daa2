import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Random } from "../../../util/random.ts";
import { VOLUME_ID } from "../../../util/ref.ts";

/** Random enough that two attempts never have the same name; 12 characters. */
const TOKEN_BYTES = 9;
const NAME = /^([^.].*)\.(qcow2|json)$/;
const HIDDEN_NAME = /^\.([^.].*)\.[a-zA-Z0-9_-]+\.(partial|export)$/;

/**
 * The names in the folder of volumes:
 *
 * - `<id>.qcow2` the volume, `<id>.json` its sidecar; a volume exists if both exist,
 * - `.<id>.<random>.partial` an unfinished file,
 * - `.<id>.<hash of its state>.export` an overlay flattened for reading.
 *
 * Nothing else in the folder is read or changed.
 */
export interface Layout {
  readonly directory: string;
  volume(id: string): string;
  sidecar(id: string): string;
  /** A new name at each call. */
  partial(id: string): string;
  /** `state` identifies the state of the volume and of all volumes that it rests on. */
  export(id: string, state: string): string;
  entries(): Promise<readonly Entry[]>;
}

export interface Entry {
  readonly id: string;
  readonly kind: "volume" | "sidecar" | "partial" | "export";
  readonly path: string;
}

const KINDS = { qcow2: "volume", json: "sidecar", partial: "partial", export: "export" } as const;

export function newLayout(directory: string, random: Random): Layout {
  return {
    directory,
    volume: (id) => join(directory, volumeFileName(id)),
    sidecar: (id) => join(directory, `${id}.json`),
    partial: (id) => join(directory, `.${id}.${random.token(TOKEN_BYTES)}.partial`),
    export: (id, state) => join(directory, `.${id}.${shortHash(state)}.export`),
    entries: async () => (await readdir(directory)).flatMap((name) => parseName(directory, name)),
  };
}

export function volumeFileName(id: string): string {
  return `${id}.qcow2`;
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function parseName(directory: string, name: string): Entry[] {
  const [, id, extension] = NAME.exec(name) ?? HIDDEN_NAME.exec(name) ?? [];
  if (id === undefined || !VOLUME_ID.test(id) || !isExtension(extension)) return [];
  return [{ id, kind: KINDS[extension], path: join(directory, name) }];
}

function isExtension(extension: string | undefined): extension is keyof typeof KINDS {
  return extension !== undefined && Object.hasOwn(KINDS, extension);
}
