import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { defined } from "../src/util/defined.ts";
import { ifThere } from "../src/util/errno.ts";
import { CliError } from "./errors.ts";
import type { Io } from "./io.ts";
import type { NamedConnection } from "./settings.ts";
import { configFolder } from "./settings.ts";

/** `config.yaml`: `current_context: NAME` and `contexts: {NAME: {api_endpoint, token_file, tls_ca, project}}`. */
export interface Config {
  readonly current?: string | undefined;
  readonly contexts: ReadonlyMap<string, NamedConnection>;
}

const KEYS = ["api_endpoint", "token_file", "tls_ca", "project"] as const;

export function configPath(io: Pick<Io, "env" | "homeFolder">): string {
  return join(configFolder(io), "config.yaml");
}

/** Empty if there is no file. @throws CliError if the file is not valid. */
export async function readConfig(io: Io): Promise<Config> {
  const path = configPath(io);
  const text = await ifThere(readFile(path, "utf8")).catch((reason: unknown) => {
    throw new CliError(`cannot read ${path}`, undefined, reason);
  });
  if (text === undefined) return { contexts: new Map() };
  const { parse } = await import("yaml");
  const wrong = (what: string) => new CliError(`${path}: ${what}`);
  let value: unknown;
  try {
    value = parse(text);
  } catch (reason) {
    throw wrong(reason instanceof Error ? reason.message : "is not YAML");
  }
  if (value === null) return { contexts: new Map() };
  if (!isRecord(value)) throw wrong("must be a map with current_context and contexts");
  const contexts = value["contexts"] ?? {};
  if (!isRecord(contexts)) throw wrong("contexts must be a map");
  const current = value["current_context"];
  if (current !== undefined && typeof current !== "string") {
    throw wrong("current_context must be the name of a context");
  }
  const entries = Object.entries(contexts).map(([name, entry]): [string, NamedConnection] => {
    if (!isRecord(entry)) throw wrong(`contexts.${name} must be a map`);
    return [name, namedConnection(entry, (what) => wrong(`contexts.${name}.${what}`))];
  });
  return { current, contexts: new Map(entries) };
}

function namedConnection(entry: Record<string, unknown>, wrong: (what: string) => CliError) {
  const unknown = Object.keys(entry).find((key) => !KEYS.some((k) => k === key));
  if (unknown !== undefined)
    throw wrong(`${unknown} is not a known key; there are ${KEYS.join(", ")}`);
  const pairs = KEYS.flatMap((key) => {
    const value = entry[key];
    if (value === undefined) return [];
    if (typeof value !== "string") throw wrong(`${key} must be text`);
    return [[key, value]];
  });
  return Object.fromEntries(pairs) as NamedConnection;
}

export function findContext(config: Config, name: string): NamedConnection | undefined {
  return config.contexts.get(name);
}

/** Writes a new file and renames it, so that the config is always complete. Only its owner can read it. */
export async function writeConfig(io: Io, config: Config): Promise<void> {
  const { stringify } = await import("yaml");
  const path = configPath(io);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const text = stringify({
    ...defined({ current_context: config.current }),
    contexts: Object.fromEntries(config.contexts),
  });
  const written = `${path}.${io.random.uuid()}.tmp`;
  await writeFile(written, text, { mode: 0o600 });
  await rename(written, path);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
