import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/**
 * The imports that ARCHITECTURE.md allows. A layer may always import itself. Imports of types count. `serve`
 * assembles everything.
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

/**
 * The areas of the API, the lowest one first. An area never imports a higher one; it calls a higher one through
 * hooks of the resources (`Kind`). Files above all areas assemble them.
 */
const AREAS = [
  "core",
  "iam",
  "budget",
  "pool",
  "network",
  "provisioning",
  "deployment",
  "observe",
  "orchestration",
  "console",
];

// The text in quotes after `from`, `import` or `import(`. `new URL("./x.ts", …)` starts a worker, which is an
// import too.
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)"(?<path>\.{1,2}\/[^"]+)"/g;
const TESTS = /\.(?:test|suite|test-process|cases|sim|drift)\.ts$|\/testing\//;

/** The layer of a file of the program; undefined for a test, which may import anything, and for other files. */
export function layerOf(path: string): string | undefined {
  const [top, second] = path.split("/");
  if (top === "cli") return "cli";
  return top === "src" ? second : undefined;
}

/** The area of a file of the API; undefined for a file above all areas, and for other files. */
function areaOf(path: string): string | undefined {
  return /^src\/api\/(?<area>[^/]+)\//.exec(path)?.groups?.["area"];
}

interface Import {
  readonly target: string;
  readonly line: number;
}

function importsOf(path: string, text: string): readonly Import[] {
  return [...text.matchAll(IMPORT)]
    .map((match) => ({
      target: normalize(join(dirname(path), match.groups?.["path"] ?? "")),
      line: text.slice(0, match.index).split("\n").length,
    }))
    .filter(({ target }) => target.endsWith(".ts"));
}

function isHigher(target: string, area: string): boolean {
  const to = areaOf(target);
  return to === undefined || AREAS.indexOf(to) > AREAS.indexOf(area);
}

/** The forbidden imports of one file. */
export function wrongArrows(path: string, text: string): readonly string[] {
  const layer = layerOf(path);
  if (layer === undefined || TESTS.test(path)) return [];
  const below = ARROWS[layer];
  if (below === undefined) return [`${path}: scripts/check/arrows.ts knows no layer "${layer}"`];
  const area = areaOf(path);
  if (area !== undefined && !AREAS.includes(area)) {
    return [`${path}: scripts/check/arrows.ts knows no area "${area}"`];
  }
  const wrong: string[] = [];
  for (const { target, line } of importsOf(path, text)) {
    const to = layerOf(target);
    if (TESTS.test(target) || to === undefined) {
      wrong.push(`${path}:${line}: ${layer} imports ${target}, which is not part of the program`);
    } else if (to !== layer && !below.includes(to)) {
      const may = below.length === 0 ? "nothing" : below.join(", ");
      wrong.push(`${path}:${line}: ${layer} imports ${target}; it may import ${may}`);
    } else if (area !== undefined && to === layer && isHigher(target, area)) {
      wrong.push(`${path}:${line}: ${area} imports ${target}, which is in no area below it`);
    }
  }
  return wrong;
}

/** Files that import each other, directly or by others: each circle once, as a path through it. */
export function circles(texts: ReadonlyMap<string, string>): readonly string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0)
      found.push(`${[...trail.slice(start), path].join(" -> ")} is a circular import`);
    if (start >= 0 || finished.has(path)) return;
    for (const { target } of importsOf(path, texts.get(path) ?? "")) {
      if (texts.has(target)) visit(target, [...trail, path]);
    }
    finished.add(path);
  };
  for (const path of texts.keys()) visit(path, []);
  return found;
}

/** Checks all files. Fails if it sees no modules of a layer, because it would then find nothing. */
export function checkArrows(files: readonly string[]): readonly string[] {
  const modules = files.filter(
    (path) => path.endsWith(".ts") && layerOf(path) !== undefined && existsSync(path),
  );
  const unseen = Object.keys(ARROWS).filter((layer) => !modules.some((p) => layerOf(p) === layer));
  if (unseen.length > 0)
    return [`saw no module of ${unseen.join(", ")}, so this check proves nothing`];
  const texts = new Map(modules.map((path) => [path, readFileSync(path, "utf8")]));
  const wrong = [...texts].flatMap(([path, text]) => wrongArrows(path, text));
  const program = new Map([...texts].filter(([path]) => !TESTS.test(path)));
  return [...wrong, ...circles(program)];
}
