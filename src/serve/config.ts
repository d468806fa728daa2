import { readFileSync } from "node:fs";
import { isMap, isNode, isScalar, LineCounter, parseDocument, stringify } from "yaml";
import type { Location } from "../agent/location.ts";
import { formatBytes } from "../util/bytes.ts";
import { formatDuration } from "../util/duration.ts";
import { N0Error } from "../util/errors.ts";
import { cut } from "../util/quote.ts";
import { formatLocation } from "./setting.ts";
import { kebabCase, settingsOf } from "./setting-info.ts";
import type { Role, Settings } from "./settings.ts";
import { SCHEMAS } from "./settings.ts";

const ENVIRONMENT_PREFIX = "N0CORE_";

interface Given {
  readonly value: unknown;
  /** Such as `--bind-port`, `N0CORE_BIND_PORT` or `n0core.yaml:3`. */
  readonly origin: string;
}

export interface Sources {
  /** The settings of the command line, by camelCase key. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default: the variable N0CORE_CONFIG, else no file. */
  readonly configPath?: string | undefined;
}

/**
 * The settings of a role. A flag has precedence over the environment, the environment over the file, and
 * the file over the default. The environment and the file may have settings of other roles, which are
 * ignored.
 *
 * @throws N0Error `invalid_argument` that names every wrong value and unknown name, with its source.
 */
export function loadSettings<R extends Role>(role: R, sources: Sources): Settings<R> {
  const problems: string[] = [];
  const configPath = sources.configPath ?? sources.environment[`${ENVIRONMENT_PREFIX}CONFIG`];
  const layers = [
    fromFlags(sources.flags),
    fromEnvironment(sources.environment, problems),
    configPath === undefined ? new Map() : fromFile(configPath, problems),
  ];
  const values: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(SCHEMAS[role].shape)) {
    const given: Given | undefined = layers.find((layer) => layer.has(key))?.get(key);
    const result = schema.safeParse(given?.value);
    if (result.success) values[key] = result.data;
    else {
      const rule = result.error.issues[0]?.message ?? "is wrong";
      const origin = given?.origin ?? "its default";
      problems.push(`${kebabCase(key)} (from ${origin}): ${rule}, not ${shown(given?.value)}`);
    }
  }
  if (problems.length > 0) throw new N0Error("invalid_argument", problems.join("\n"));
  // Each value has just been parsed by the schema of its key.
  return values as Settings<R>;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return cut(text, 80);
}

function fromFlags(flags: Readonly<Record<string, unknown>>): Map<string, Given> {
  return new Map(
    Object.entries(flags)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, { value, origin: `--${kebabCase(key)}` }]),
  );
}

function fromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): Map<string, Given> {
  const keys = knownKeys();
  const layer = new Map<string, Given>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || value === undefined) continue;
    if (variable === `${ENVIRONMENT_PREFIX}CONFIG`) continue;
    const kebab = variable.slice(ENVIRONMENT_PREFIX.length).toLowerCase().replaceAll("_", "-");
    const key = keys.get(kebab);
    if (key === undefined) problems.push(`${variable}: there is no setting ${kebab}${hint(kebab)}`);
    else layer.set(key, { value, origin: variable });
  }
  return layer;
}

function fromFile(configPath: string, problems: string[]): Map<string, Given> {
  const layer = new Map<string, Given>();
  const lines = new LineCounter();
  const document = parseDocument(readText(configPath), { lineCounter: lines });
  const at = (offset: number) => `${configPath}:${lines.linePos(offset).line}`;
  for (const error of document.errors) {
    problems.push(`${at(error.pos[0])}: ${error.message.split("\n")[0]}`);
  }
  const root = document.contents;
  if (document.errors.length > 0 || root === null) return layer;
  if (!isMap(root)) {
    problems.push(`${configPath}:1: must be a mapping of settings, such as \`bind-port: 20180\``);
    return layer;
  }
  const keys = knownKeys();
  for (const { key: keyNode, value } of root.items) {
    const kebab = isScalar(keyNode) ? String(keyNode.value) : "";
    const origin = at(isScalar(keyNode) ? (keyNode.range?.[0] ?? 0) : 0);
    const key = keys.get(kebab);
    if (key === undefined) problems.push(`${origin}: there is no setting ${kebab}${hint(kebab)}`);
    else if (isScalar(value) && value.value === null) continue;
    else layer.set(key, { value: isNode(value) ? value.toJS(document) : value, origin });
  }
  return layer;
}

function readText(configPath: string): string {
  try {
    return readFileSync(configPath, "utf8");
  } catch (cause) {
    throw new N0Error("invalid_argument", `config file ${configPath}: cannot be read`, { cause });
  }
}

/** The names of all roles, so that several can share one file or environment. */
function knownKeys(): ReadonlyMap<string, string> {
  const keys = Object.values(SCHEMAS).flatMap((schema) => Object.keys(schema.shape));
  return new Map(keys.map((key) => [kebabCase(key), key]));
}

function hint(kebab: string): string {
  const letters = (name: string) => [...name.replaceAll("-", "")].toSorted().join("");
  const near = [...knownKeys().keys()].find(
    (known) =>
      letters(known) === letters(kebab) || known.startsWith(kebab) || kebab.startsWith(known),
  );
  return near === undefined || kebab === "" ? "" : `; did you mean ${near}?`;
}

/** A config file with these settings. */
export function printSettings(role: Role, settings: Settings<Role>): string {
  const values = new Map<string, unknown>(Object.entries(settings));
  const lines: Record<string, unknown> = {};
  for (const { key, about } of settingsOf(role)) {
    const value = values.get(key);
    if (value === undefined) continue;
    lines[kebabCase(key)] = written(value, about.kind);
  }
  return stringify(lines);
}

/** A value as in a config file. */
export function written(value: unknown, kind: string | undefined): unknown {
  if (kind === "duration" && typeof value === "number") return formatDuration(value);
  if (typeof value === "bigint") return formatBytes(value);
  if (kind === "location") return formatLocation(value as Location);
  return value;
}
