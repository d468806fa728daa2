// with-node.sh in a project of its own, with an npm that only writes down what it is asked.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const PROJECT = join(import.meta.dirname, "..");
const NPM = `#!/bin/sh
echo "$@" | cut -d ' ' -f 1-3 >>"$CALLS"
[ -z "\${NPM_FAILS:-}" ] || exit 1
mkdir -p node_modules/.bin
if [ -z "\${NODE_IS_FOR_ANOTHER_PLATFORM:-}" ]; then
  printf '#!/bin/sh\\necho v24.0.0\\n' >node_modules/.bin/node && chmod +x node_modules/.bin/node
fi
npm_lifecycle_event=prepare scripts/with-node.sh node --version || exit 1
touch node_modules/.package-lock.json
`;
const ASKED = ["ci --loglevel=error --no-fund"];

let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "n0stack-with-node-"));
  for (const folder of ["bin", "scripts", "system"]) mkdirSync(join(project, folder));
  for (const file of ["scripts/with-node.sh", "bin/system-node.sh"]) {
    copyFileSync(join(PROJECT, file), join(project, file));
  }
  writeFileSync(join(project, "package-lock.json"), "{}");
  writeProgram("npm", NPM);
  writeSystemNode("v20.20.2");
});

afterEach(() => rmSync(project, { recursive: true }));

function writeProgram(name: string, text: string): void {
  writeFileSync(join(project, "system", name), text);
  chmodSync(join(project, "system", name), 0o755);
}

function writeSystemNode(version: string): void {
  writeProgram("node", `#!/bin/sh\necho ${version}\n`);
}

/** What it printed, and what it asked of npm. */
function run(command: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const calls = join(project, "calls");
  rmSync(calls, { force: true });
  const { status, stdout, stderr } = spawnSync(join(project, "scripts/with-node.sh"), command, {
    encoding: "utf8",
    env: { PATH: `${project}/system:/usr/bin:/bin`, CALLS: calls, ...environment },
  });
  const asked = existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : [];
  return { status, stdout, stderr, asked };
}

test("installs the packages where they are missing, says so, and runs the command", () => {
  const { status, stdout, stderr, asked } = run(["node", "--version"]);
  expect(asked).toEqual(ASKED);
  expect(stderr).toContain("installing the packages");
  expect(stdout).toBe("v24.0.0\n");
  expect(status).toBe(0);
});

test("says and does nothing more when all is there", () => {
  run(["true"]);
  expect(run(["node", "--version"])).toEqual({
    status: 0,
    stdout: "v24.0.0\n",
    stderr: "",
    asked: [],
  });
});

test("installs again when the lock file is newer", () => {
  run(["true"]);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(project, "package-lock.json"), later, later);
  expect(run(["true"]).asked).toEqual(ASKED);
});

const NODE_IS_FOR_ANOTHER_PLATFORM = { NODE_IS_FOR_ANOTHER_PLATFORM: "yes" };

test("takes the system's Node where the packages have none for this platform", () => {
  writeSystemNode("v24.1.0");
  const { stdout } = run(["node", "--version"], NODE_IS_FOR_ANOTHER_PLATFORM);
  expect(stdout).toBe("v24.1.0\n");
});

test("npm ci fails where neither the packages nor the system have Node 24", () => {
  const { status, stdout, stderr } = run(["echo", "ran"], NODE_IS_FOR_ANOTHER_PLATFORM);
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/is v20.20.2, but n0stack needs Node 24 or later/);
});

test("does not run the command when npm fails", () => {
  const { status, stdout, stderr } = run(["echo", "ran"], { NPM_FAILS: "yes" });
  expect(status).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toContain("npm ci failed");
});

test("ends with the exit code of the command", () => {
  expect(run(["sh", "-c", "exit 7"]).status).toBe(7);
});
