import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/**
 * Who may import whom, as ARCHITECTURE.md draws it. A layer may always import itself; imports of types
 * count. `serve` is where everything is put together.
 */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  util: [],
  gen: [],
  transaction: ["util"],
  datastore: ["transaction", "util"],
  rpc: ["gen", "util"],
  driver: ["util"],
  agent: ["driver", "gen", "rpc", "util"],
  api: ["datastore", "transaction", "gen", "rpc", "util"],
  serve: ["api", "agent", "driver", "datastore", "transaction", "gen", "rpc", "util"],
  cli: ["gen", "util"],
};

// What follows `from`, `import` or `import(` in quotes. `new URL("./x.ts", …)` starts a worker, which is
// as much an import.
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)"(?<path>\.{1,2}\/[^"]+)"/g;
const TESTS = /\.(?:test|suite|test-process)\.ts$|\/testing\//;

/** The layer of a file of the program; undefined for a test, which may import anything, and the rest. */
export function layerOf(path: string): string | undefined {
  const [top, second] = path.split("/");
  if (top === "cli") return "cli";
  return top === "src" ? second : undefined;
}

/** The arrows that one file draws where it may not. */
export function wrongArrows(path: string, text: string): readonly string[] {
  const layer = layerOf(path);
  if (layer === undefined || TESTS.test(path)) return [];
  const below = ARROWS[layer];
  if (below === undefined) return [`${path}: scripts/check/arrows.ts knows no layer "${layer}"`];
  const wrong: string[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const target = normalize(join(dirname(path), match.groups?.["path"] ?? ""));
    if (!target.endsWith(".ts")) continue;
    const to = layerOf(target);
    const line = text.slice(0, match.index).split("\n").length;
    if (TESTS.test(target) || to === undefined) {
      wrong.push(`${path}:${line}: ${layer} imports ${target}, which is no part of the program`);
    } else if (to !== layer && !below.includes(to)) {
      const may = below.length === 0 ? "nothing" : below.join(", ");
      wrong.push(`${path}:${line}: ${layer} imports ${target}; it may import ${may}`);
    }
  }
  return wrong;
}

/** The same for all files, which must hold some modules: a check that sees nothing finds nothing. */
export function checkArrows(files: readonly string[]): readonly string[] {
  const modules = files.filter(
    (path) => path.endsWith(".ts") && layerOf(path) !== undefined && existsSync(path),
  );
  const unseen = Object.keys(ARROWS).filter((layer) => !modules.some((p) => layerOf(p) === layer));
  if (unseen.length > 0) return [`saw no module of ${unseen.join(", ")}, so proved nothing`];
  return modules.flatMap((path) => wrongArrows(path, readFileSync(path, "utf8")));
}
