import manifest from "../package.json" with { type: "json" };

export function clientVersion(): string {
  return manifest.version;
}
