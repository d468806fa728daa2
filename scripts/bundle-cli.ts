// Makes dist/n0cli.bundle, from which bin/n0cli.cjs starts n0cli: a line of JSON that says what it was made
// of, the code, and what V8 compiled of it while it did what n0cli is mostly asked for.
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
/** What it depends on beside our own files that are bundled: what npm has installed, and how it is made. */
const RULES = [
  "node_modules/.package-lock.json",
  "scripts/bundle-cli.ts",
  "scripts/rehearse-cli.ts",
  "bin/n0cli.cjs",
];
const LEFT_BEHIND_MS = 3600 * 1000;

const load = createRequire(import.meta.url) as (path: string) => object;

/** Path below the project, size in bytes and time of change in ms; nulls for what is not there. */
type Input = readonly [path: string, size: number | null, mtimeMs: number | null];

/**
 * Whatever happens meanwhile, dist/ has the whole bundle of before or the whole new one. A source that is
 * edited meanwhile is not what the bundle says that it is made of.
 *
 * @throws Error where a source is wrong, esbuild is not installed or dist/ cannot be written to.
 */
export async function bundleCli(): Promise<void> {
  const inputs = new Map<string, Input>();
  const code = await bundle(inputs);
  const compiled = await compile(code);
  const head = { node: process.version, inputs: [...inputs.values()], codeBytes: code.length };
  replace("n0cli.bundle", [`${JSON.stringify(head)}\n`, code, compiled]);
}

async function bundle(inputs: Map<string, Input>): Promise<Buffer> {
  // Not there in an installation without development packages.
  const { build } = await import("esbuild");
  for (const path of RULES) inputs.set(path, inputOf(path));
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ["cli/main.ts"],
    bundle: true,
    write: false,
    platform: "node",
    target: "node24",
    // Not ESM: what imports node:http as a module loads all of fetch with it.
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

/** Each file of ours as it is before esbuild reads it. Those of npm all bear one time. */
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

/** The files of the rules of fields: how generated code imports each, and its name as a proto. */
const FIELD_RULES = [
  { imported: /\/buf\/validate\/validate_pb\.js$/, proto: "buf/validate/validate" },
  { imported: /\/rules\/v1alpha1\/rules_pb\.ts$/, proto: "n0stack/rules/v1alpha1/rules" },
];

/**
 * The generated code imports the files of the rules of fields, which only a server looks into; the descriptor
 * of the first is larger than all of ours. A descriptor that has the name of the file alone does.
 */
const withoutFieldRules: Plugin = {
  name: "without-field-rules",
  setup({ onResolve, onLoad }) {
    const namespace = "without-field-rules";
    for (const { imported, proto } of FIELD_RULES) {
      onResolve({ filter: imported }, () => ({ path: proto, namespace }));
    }
    onLoad({ filter: /./, namespace }, ({ path: proto }) => {
      // FileDescriptorProto, of which `name` is field 1: a tag, the length and the text.
      const file = `${proto}.proto`;
      const bytes = Buffer.from(`\n${String.fromCharCode(file.length)}${file}`, "latin1");
      const contents = `import { fileDesc } from "@bufbuild/protobuf/codegenv2";
        export const file_${proto.replaceAll("/", "_")} = fileDesc("${bytes.toString("base64")}");`;
      return { contents, resolveDir: ROOT };
    });
  },
};

/** Modules of Node's own are loaded when something of them is used: some take longer than all of ours. */
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
      // It is its own default export, as Node's modules are for an import.
      return { contents: `module.exports = {${getters.join("\n")}};` };
    });
  },
};

/** False for a module that is a function, such as node:events, or inherits, such as node:process. */
function isPlain(module: object): boolean {
  return Object.getPrototypeOf(module) === Object.prototype;
}

/** What V8 has compiled of the code once it has been used. */
async function compile(code: Buffer): Promise<Buffer> {
  const script = new Script(code.toString("latin1"), { filename: "n0cli.bundle" });
  const module = { exports: {} as typeof Cli };
  script.runInThisContext()(load, module);
  // Where it cannot be, such as without a loopback, less of it is compiled beforehand.
  await rehearse(module.exports).catch(() => {});
  return script.createCachedData();
}

/** Puts a file into dist/ whole: it is complete on the disk before it has its name. */
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

/** Of those that were killed. One that is at work takes no hour. */
function removeLeftBehind(folder: string): void {
  for (const name of fs.readdirSync(folder)) {
    if (!name.endsWith(".tmp")) continue;
    const path = join(folder, name);
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > LEFT_BEHIND_MS) fs.rmSync(path);
  }
}

/** What root made would keep the owner of the project from making it anew. */
function giveToOwner(...paths: readonly string[]): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = fs.statSync(ROOT);
  for (const path of paths) fs.lchownSync(path, uid, gid);
}

// By npm, when it has installed the packages. n0cli works without a bundle, so nothing fails here.
if (import.meta.main) {
  await bundleCli().catch((reason: unknown) => {
    console.error(`n0cli will start slowly: ${reason instanceof Error ? reason.message : ""}`);
  });
}
