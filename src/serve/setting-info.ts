import { type About, type Role, SCHEMAS } from "./settings.ts";

export interface SettingInfo {
  readonly key: string;
  readonly about: About;
  /** Undefined if there is none, or if only the node knows it. */
  readonly defaultValue: unknown;
}

/** The settings of a role in the order of the help. */
export function settingsOf(role: Role): readonly SettingInfo[] {
  return Object.entries(SCHEMAS[role].shape).map(([key, schema]) => {
    const { argument, description = "", kind } = schema.meta() ?? {};
    const isKind =
      kind === "duration" || kind === "bytes" || kind === "location" || kind === "flag";
    return {
      key,
      about: { argument: String(argument), description, ...(isKind ? { kind } : {}) },
      defaultValue: description.includes("default:") ? undefined : schema.parse(undefined),
    };
  });
}

/** `bindPort` → `bind-port`. */
export function kebabCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
