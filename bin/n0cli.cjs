// Starts n0cli from its bundle, together with what V8 compiled of it: docs/adr/0033-n0cli-starts-from-a-bundle.md.
// The layout of the bundle is that of scripts/bundle-cli.ts.
"use strict";
const fs = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

const root = join(__dirname, "..");
const file = join(root, "dist/n0cli.bundle");
const sources = join(root, "cli/main.ts");

/** What the bundle exports; undefined where there is none, or one of other sources, or one that is spoilt. */
function openBundle() {
  try {
    return readBundle(fs.readFileSync(file));
  } catch {
    return undefined;
  }
}

function readBundle(bytes) {
  const headEnd = bytes.indexOf("\n");
  const { node, inputs, codeBytes } = JSON.parse(bytes.toString("utf8", 0, headEnd));
  // A release has no sources.
  const isFresh = !fs.existsSync(sources) || (node === process.version && inputs.every(isAsItWas));
  if (!isFresh) return undefined;
  const code = bytes.latin1Slice(headEnd + 1, headEnd + 1 + codeBytes);
  const cachedData = bytes.subarray(headEnd + 1 + codeBytes);
  const module = { exports: {} };
  new Script(code, { filename: file, cachedData }).runInThisContext()(require, module);
  return module.exports;
}

function isAsItWas([path, size, mtimeMs]) {
  const stat = fs.statSync(join(root, path), { throwIfNoEntry: false });
  return stat === undefined ? size === null : stat.size === size && stat.mtimeMs === mtimeMs;
}

/** Only the owner writes into the project, or root, who gives the owner what it writes. */
function mayBundle() {
  try {
    const uid = process.geteuid();
    fs.accessSync(root, fs.constants.W_OK);
    fs.accessSync(join(root, "node_modules/esbuild"));
    return uid === 0 || uid === fs.statSync(root).uid;
  } catch {
    return false;
  }
}

async function bundleAnew() {
  if (!mayBundle()) return undefined;
  try {
    await (await import("../scripts/bundle-cli.ts")).bundleCli();
    return openBundle();
  } catch {
    // The sources run as well, only slower; npm run build says what is wrong.
    return undefined;
  }
}

async function openSources() {
  const { enableCompileCache } = require("node:module");
  const folder = compileCacheFolder();
  if (folder !== undefined) enableCompileCache(folder);
  return await import("../cli/main.ts");
}

/** In a folder that nobody else can write to: who writes there decides what runs. */
function compileCacheFolder() {
  const { HOME, XDG_CACHE_HOME, NODE_COMPILE_CACHE } = process.env;
  if (NODE_COMPILE_CACHE) return NODE_COMPILE_CACHE;
  const stat = HOME ? fs.statSync(HOME, { throwIfNoEntry: false }) : undefined;
  if (stat?.isDirectory() !== true || stat.uid !== process.geteuid()) return undefined;
  return join(XDG_CACHE_HOME || join(HOME, ".cache"), "n0stack/node");
}

async function start() {
  const { main } = openBundle() ?? (await bundleAnew()) ?? (await openSources());
  await main(process.argv.slice(2));
}

void start();
