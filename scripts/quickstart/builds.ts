import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readVersion } from "../../src/serve/version.ts";
import { sourcesHash } from "../sources-hash.ts";
import { PROJECT } from "./places.ts";

/** The build of n0core in this checkout, such as `0.1.0, sources 0f1e2d3c`. */
export function n0coreBuild(): string {
  return `${readVersion()}, sources ${sourcesHash(["src"]).slice(0, 8)}`;
}

/** The build of the example in this checkout: `examples/boot-vm.yaml 0f1e2d3c on tiny-9b8a7c6d.qcow2`. */
export function exampleBuild(image: string): string {
  const file = "examples/boot-vm.yaml";
  return `${file} ${hashOf(join(PROJECT, file)).slice(0, 8)} on ${basename(image)}`;
}

export function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return false;
  return statSync(one).size === statSync(other).size && hashOf(one) === hashOf(other);
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
