// Bundles the programs into dist/: n0cli in a few files, so that a command loads only what it uses, and
// n0core. Native modules stay where npm put them.
import { cpSync, rmSync } from "node:fs";
import type { BuildOptions } from "esbuild";
import { build } from "esbuild";

// CommonJS modules in a bundle call require, which an ES module does not have.
const REQUIRE =
  'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';

const COMMON: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node22.18",
  format: "esm",
  minify: true,
  keepNames: true,
  legalComments: "none",
  banner: { js: REQUIRE },
  external: ["better-sqlite3", "koffi", "@novnc/novnc"],
  logLevel: "warning",
};

rmSync("dist", { recursive: true, force: true });

await build({
  ...COMMON,
  entryPoints: { n0cli: "cli/main.ts" },
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  chunkNames: "n0cli-[hash]",
  splitting: true,
});

// In the folders of the sources, as it looks for its worker threads, its page and package.json beside it.
const worker = "src/driver/compute/libvirt";
await Promise.all([
  build({ ...COMMON, entryPoints: ["src/serve/main.ts"], outfile: "dist/src/serve/main.mjs" }),
  build({
    ...COMMON,
    entryPoints: [`${worker}/rpc-worker.ts`],
    outfile: "dist/src/serve/rpc-worker.ts",
  }),
  build({
    ...COMMON,
    entryPoints: [`${worker}/event-worker.ts`],
    outfile: "dist/src/serve/event-worker.ts",
  }),
]);
cpSync("src/api/console/page", "dist/src/serve/page", { recursive: true });
cpSync("package.json", "dist/package.json");
console.log("dist/n0cli.mjs and dist/src/serve/main.mjs; bin/n0cli takes the first by itself");
