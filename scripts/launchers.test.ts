// bin/n0cli and bin/n0core in a project of their own, whose Nodes only say their version and their words.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "n0 launchers "));
  cpSync(join(import.meta.dirname, "../bin"), join(project, "bin"), { recursive: true });
});

afterEach(() => rmSync(project, { recursive: true }));

function writeNode(path: string, version: string): void {
  const file = join(project, path);
  mkdirSync(dirname(file), { recursive: true });
  const text = `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo ${version} "$@"; fi\n`;
  writeFileSync(file, text, { mode: 0o755 });
}

function run(launcher: string) {
  const { status, stdout, stderr } = spawnSync(launcher, ["get", "a b"], {
    encoding: "utf8",
    env: { PATH: `${project}/system:/usr/bin:/bin` },
  });
  return { status, stdout, stderr };
}

describe.each([
  ["n0cli", "bin/n0cli.cjs"],
  ["n0core", "src/serve/main.ts"],
])("%s", (program, main) => {
  const launch = () => run(join(project, "bin", program));

  test.each(["v8.0.0", "v20.19.5", "v22.18.0", "v23.11.0"])(
    "does not take the system's Node %s, and says what to do",
    (version) => {
      writeNode("system/node", version);
      expect(launch()).toEqual({
        status: 1,
        stdout: "",
        stderr:
          `${program}: ${project}/system/node is ${version}, but ${program} needs Node 24 or later. ` +
          `Run npm ci in ${project}, which installs Node 24.\n`,
      });
    },
  );

  test.each(["v24.0.1", "v26.10.0", "v100.0.0"])("takes the system's Node %s", (version) => {
    writeNode("system/node", version);
    const { status, stdout } = launch();
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${version} --.* ${project}/${main} get a b\n$`));
  });

  test.each(["v20.19.5", "v22.18.0", "v26.0.0"])(
    "takes the packages' Node before the system's %s, also through a link",
    (version) => {
      writeNode("system/node", version);
      writeNode("node_modules/.bin/node", "v24.0.0");
      expect(launch().stdout).toMatch(/^v24\.0\.0 /);
      const link = join(project, "link");
      symlinkSync(`bin/${program}`, link);
      expect(run(link).stdout).toBe(launch().stdout);
    },
  );
});
