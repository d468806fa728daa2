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

const NPM = `#!/bin/sh
echo "$@" | cut -d ' ' -f 1-3 >>"$CALLS"
[ -z "\${NPM_FAILS:-}" ] || exit 1
mkdir -p node_modules/.bin
case "$1" in
ci) rm -f node_modules/.bin/node && touch node_modules/.package-lock.json ;;
install) printf '#!/bin/sh\\necho v24.0.0\\n' >node_modules/.bin/node && chmod +x node_modules/.bin/node ;;
esac
`;

let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "n0stack-with-node-"));
  mkdirSync(join(project, "scripts"));
  mkdirSync(join(project, "system"));
  copyFileSync(join(import.meta.dirname, "with-node.sh"), join(project, "scripts/with-node.sh"));
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

test("installs packages and Node where neither is, says so, and runs the command", () => {
  const { status, stdout, stderr, asked } = run(["node", "--version"]);
  expect(asked).toEqual(["ci --loglevel=error --no-fund", "install --no-save node@24"]);
  expect(stderr).toContain("installing the packages");
  expect(stderr).toContain("installing Node 24");
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

test("installs again when the lock file is newer, and Node, which that removed", () => {
  run(["true"]);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(project, "package-lock.json"), later, later);
  expect(run(["true"]).asked).toHaveLength(2);
});

const NPM_THAT_PREPARES = `#!/bin/sh
echo "$@" | cut -d ' ' -f 1-3 >>"$CALLS"
mkdir -p node_modules/.bin
case "$1" in
ci) npm_lifecycle_event=prepare scripts/with-node.sh node --version && touch node_modules/.package-lock.json ;;
install) printf '#!/bin/sh\\necho v24.0.0\\n' >node_modules/.bin/node && chmod +x node_modules/.bin/node ;;
esac
`;

test("as npm's prepare it installs the Node that is missing, and does not wait for the lock", () => {
  writeProgram("npm", NPM_THAT_PREPARES);
  const { status, stdout, asked } = run(["node", "--version"]);
  expect(asked).toEqual(["ci --loglevel=error --no-fund", "install --no-save node@24"]);
  expect([status, stdout]).toEqual([0, "v24.0.0\n"]);
});

test.each(["v22.18.0", "v24.1.0", "v26.0.0"])("takes the system's Node %s", (version) => {
  writeSystemNode(version);
  const { stdout, asked } = run(["node", "--version"]);
  expect(asked).toEqual(["ci --loglevel=error --no-fund"]);
  expect(stdout).toBe(`${version}\n`);
});

test.each(["v22.17.1", "v22.2.0", "v18.0.0"])("does not take the system's Node %s", (version) => {
  writeSystemNode(version);
  expect(run(["node", "--version"]).stdout).toBe("v24.0.0\n");
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
