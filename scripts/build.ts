// Bundles the programs into dist/, or only n0core into a given folder. Native modules stay where npm put them.
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { BuildOptions } from "esbuild";
import { build as bundle } from "esbuild";
import { bundleCli } from "./bundle-cli.ts";
import { runProgram } from "./run-program.ts";

// CommonJS modules in a bundle call require, which an ES module does not have.
const REQUIRE =
  'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';

const COMMON: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  minify: true,
  keepNames: true,
  legalComments: "none",
  banner: { js: REQUIRE },
  external: ["better-sqlite3", "koffi", "@novnc/novnc"],
  logLevel: "warning",
};

/** esbuild prints its own errors. */
async function build(options: BuildOptions): Promise<void> {
  await bundle(options).catch(() => process.exit(1));
}

const folder = process.argv[2] ?? "dist";
await runProgram("build", async () => {
  rmSync(folder, { recursive: true, force: true });
  return 0;
});
if (process.exitCode !== 0) process.exit();

// In the same folders as the sources: the server looks for its worker threads, its page and package.json beside
// it.
const worker = "src/driver/compute/libvirt";
await Promise.all([
  build({
    ...COMMON,
    entryPoints: ["src/serve/main.ts"],
    outfile: join(folder, "src/serve/main.mjs"),
  }),
  build({
    ...COMMON,
    entryPoints: [`${worker}/rpc-worker.ts`],
    outfile: join(folder, "src/serve/rpc-worker.ts"),
  }),
  build({
    ...COMMON,
    entryPoints: [`${worker}/event-worker.ts`],
    outfile: join(folder, "src/serve/event-worker.ts"),
  }),
  build({
    ...COMMON,
    entryPoints: ["src/driver/volume/image/inspect-worker.ts"],
    outfile: join(folder, "src/serve/inspect-worker.ts"),
  }),
]);
cpSync("src/api/console/page", join(folder, "src/serve/page"), { recursive: true });
cpSync("package.json", join(folder, "package.json"));
if (folder === "dist") {
  await bundleCli();
  console.log(
    "made dist/n0cli.bundle, which bin/n0cli uses by itself, and dist/src/serve/main.mjs",
  );
}
