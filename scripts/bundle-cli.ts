// Makes dist/n0cli.bundle, from which bin/n0cli.cjs starts n0cli. It holds a line of JSON that lists its
// sources, the code, and V8's compiled code, recorded while n0cli ran its most common commands.
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { join, relative } from "node:path";
import process from "node:process";
import { Script } from "node:vm";
import type { Plugin } from "esbuild";
import type * as Cli from "../cli/main.ts";
import { rehearse } from "./rehearse-cli.ts";

const ROOT = join(import.meta.dirname, "..");
/**
 * What the bundle depends on besides our own sources: the packages that npm has installed, and how it is made.
 */
const RULES = [
  "node_modules/.package-lock.json",
  "scripts/bundle-cli.ts",
  "scripts/rehearse-cli.ts",
  "bin/n0cli.cjs",
];
const LEFT_BEHIND_MS = 3600 * 1000;

const load = createRequire(import.meta.url) as (path: string) => object;

/** Path in the project, size in bytes and time of change in ms; nulls for a missing file. */
type Input = readonly [path: string, size: number | null, mtimeMs: number | null];

/**
 * Replaces the bundle in dist/ whole or not at all, whatever happens in the meantime. If a source is edited in
 * the meantime, the bundle does not list that edit as its source.
 *
 * @throws Error if a source is wrong, esbuild is not installed, or dist/ is not writable.
 */
export async function bundleCli(): Promise<void> {
  const inputs = new Map<string, Input>();
  const code = await bundle(inputs);
  const compiled = await compile(code);
  const head = { node: process.version, inputs: [...inputs.values()], codeBytes: code.length };
  replace("n0cli.bundle", [`${JSON.stringify(head)}\n`, code, compiled]);
}

async function bundle(inputs: Map<string, Input>): Promise<Buffer> {
  // Missing in an installation without development packages.
  const { build } = await import("esbuild");
  for (const path of RULES) inputs.set(path, inputOf(path));
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ["cli/main.ts"],
    bundle: true,
    write: false,
    platform: "node",
    target: "node24",
    // Not ESM: a module that imports node:http loads all of fetch with it.
    format: "cjs",
    minify: true,
    charset: "ascii",
    legalComments: "none",
    tsconfigRaw: "{}",
    logLevel: "silent",
    plugins: [noted(inputs), withoutFieldRules, lazyNode],
  });
  const text = outputFiles[0]?.text ?? "";
  return Buffer.from(`(function(require,module){${text}\n})`, "latin1");
}

/** The state of each of our files before esbuild reads it. All files of npm have one time. */
function noted(inputs: Map<string, Input>): Plugin {
  return {
    name: "noted",
    setup({ onLoad }) {
      onLoad({ filter: /./, namespace: "file" }, (file) => {
        const path = relative(ROOT, file.path);
        if (!path.includes("node_modules/")) inputs.set(path, inputOf(path));
        return undefined;
      });
    },
  };
}

function inputOf(path: string): Input {
  const stat = fs.statSync(join(ROOT, path), { throwIfNoEntry: false });
  return [path, stat?.size ?? null, stat?.mtimeMs ?? null];
}

/** The files with the rules of fields: the path by which generated code imports each, and its proto name. */
const FIELD_RULES = [
  { imported: /\/buf\/validate\/validate_pb\.js$/, proto: "buf/validate/validate" },
  { imported: /\/rules\/v1alpha1\/rules_pb\.ts$/, proto: "n0stack/rules/v1alpha1/rules" },
];

/**
 * The generated code imports the files with the rules of fields, which only a server uses. The descriptor of
 * the first one is larger than all of ours. A descriptor with only the name of the file is enough.
 */
const withoutFieldRules: Plugin = {
  name: "without-field-rules",
  setup({ onResolve, onLoad }) {
    const namespace = "without-field-rules";
    for (const { imported, proto } of FIELD_RULES) {
      onResolve({ filter: imported }, () => ({ path: proto, namespace }));
    }
    onLoad({ filter: /./, namespace }, ({ path: proto }) => {
      // FileDescriptorProto, whose field 1 is `name`: a tag, the length and the text.
      const file = `${proto}.proto`;
      const bytes = Buffer.from(`\n${String.fromCharCode(file.length)}${file}`, "latin1");
      const contents = `import { fileDesc } from "@bufbuild/protobuf/codegenv2";
        export const file_${proto.replaceAll("/", "_")} = fileDesc("${bytes.toString("base64")}");`;
      return { contents, resolveDir: ROOT };
    });
  },
};

/** Loads Node's own modules at their first use, because some take longer to load than all of ours. */
const lazyNode: Plugin = {
  name: "lazy-node",
  setup({ onResolve, onLoad }) {
    const namespace = "lazy-node";
    onResolve({ filter: /./ }, ({ path, namespace: from }) =>
      from !== namespace && isBuiltin(path) && isPlain(load(path))
        ? { path, namespace }
        : undefined,
    );
    onLoad({ filter: /./, namespace }, ({ path }) => {
      const names = Object.keys(load(path));
      const getters = names.map((name) => `get ${name}() { return require("${path}").${name}; },`);
      // Its own default export, as an import of Node's modules has it.
      return { contents: `module.exports = {${getters.join("\n")}};` };
    });
  },
};

/** False for a module that is a function, such as node:events, or inherits, such as node:process. */
function isPlain(module: object): boolean {
  return Object.getPrototypeOf(module) === Object.prototype;
}

/** V8's compiled code, after the code has been used. */
async function compile(code: Buffer): Promise<Buffer> {
  const script = new Script(code.toString("latin1"), { filename: "n0cli.bundle" });
  const module = { exports: {} as typeof Cli };
  script.runInThisContext()(load, module);
  // If it cannot run, for example without a loopback, less of the code is compiled beforehand.
  await rehearse(module.exports).catch(() => {});
  return script.createCachedData();
}

/** Puts a file into dist/ whole: it is complete on the disk before it gets its name. */
function replace(name: string, parts: readonly (string | Buffer)[]): void {
  const folder = join(ROOT, "dist");
  fs.mkdirSync(folder, { recursive: true });
  removeLeftBehind(folder);
  const unfinished = join(folder, `${name}.${randomUUID()}.tmp`);
  try {
    const fd = fs.openSync(unfinished, "wx", 0o644);
    try {
      for (const part of parts) fs.writeFileSync(fd, part);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    giveToOwner(folder, unfinished);
    fs.renameSync(unfinished, join(folder, name));
  } catch (reason) {
    fs.rmSync(unfinished, { force: true });
    throw reason;
  }
}

/** Removes the files of killed processes. A process that still runs takes less than an hour. */
function removeLeftBehind(folder: string): void {
  for (const name of fs.readdirSync(folder)) {
    if (!name.endsWith(".tmp")) continue;
    const path = join(folder, name);
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > LEFT_BEHIND_MS) fs.rmSync(path);
  }
}

/** Files of root would keep the owner of the project from making them again. */
function giveToOwner(...paths: readonly string[]): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = fs.statSync(ROOT);
  for (const path of paths) fs.lchownSync(path, uid, gid);
}

// npm runs this after an installation. n0cli works without a bundle, so nothing fails here.
if (import.meta.main) {
  await bundleCli().catch((reason: unknown) => {
    console.error(`n0cli will start slowly: ${reason instanceof Error ? reason.message : ""}`);
  });
}
