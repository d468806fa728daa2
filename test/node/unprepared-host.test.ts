// Every script of package.json on a machine that nobody has prepared: it prepares what it needs, or says in
// one line what is missing. None is run to its end where that takes long.
import { spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectFiles } from "../../scripts/check/run.ts";
import { requirement } from "./requirements.ts";

const PROJECT = join(import.meta.dirname, "../..");
const USERS = { root: 0, "an ordinary user": 1000 } as const;
type User = keyof typeof USERS;

/** What a script does without packages: `works` needs none of them. */
type Conduct = "prepares" | "refuses" | "goes on" | "works";
interface Expectation {
  readonly args?: readonly string[];
  readonly root?: Conduct;
  readonly user: Conduct;
}

const ON_HOST: Expectation = { root: "prepares", user: "refuses" };
/** Arguments that make the run short. */
const SCRIPTS: Readonly<Record<string, Expectation>> = {
  quickstart: ON_HOST,
  test: { root: "goes on", user: "goes on" },
  "test:unit": { args: ["src/util/cidr.test.ts"], user: "works" },
  "test:node": ON_HOST,
  "test:crash": ON_HOST,
  sim: { args: ["--seed", "1", "--ops", "20"], user: "works" },
  "test:e2e": ON_HOST,
  check: { args: ["words", "shell"], user: "works" },
  format: { user: "works" },
  gen: { user: "works" },
  bench: ON_HOST,
  build: { user: "works" },
  "image:tiny": { root: "refuses", user: "refuses" },
  "image:debian": { root: "refuses", user: "refuses" },
};

test("every script of package.json is here", () => {
  const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  expect(Object.keys(SCRIPTS).sort()).toEqual(Object.keys(scripts).sort());
});

describe.runIf(requirement("netns"))("on a machine that nobody has prepared", () => {
  let checkout: string;

  beforeAll(async () => {
    checkout = mkdtempSync(join(tmpdir(), "n0-checkout-"));
    const { "an ordinary user": uid } = USERS;
    const own = (path: string) => chownSync(path, uid, uid);
    own(checkout);
    const folders = new Set<string>();
    const makeFolder = (path: string) => {
      if (path === "." || folders.has(path)) return;
      makeFolder(dirname(path));
      folders.add(path);
      mkdirSync(join(checkout, path));
      own(join(checkout, path));
    };
    for (const path of await projectFiles()) {
      makeFolder(dirname(path));
      // With its time: npm packages older than the lock file would be installed again.
      await cp(join(PROJECT, path), join(checkout, path), { preserveTimestamps: true });
      own(join(checkout, path));
    }
    makeFolder("node_modules");
    const made = await run("root", "packages", ["git", "init", "-q", "."]);
    expect(made).toMatchObject({ code: 0 });
  });
  afterAll(() => rmSync(checkout, { recursive: true, force: true }));

  interface Outcome {
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }

  /** Ended when stdout has `until`, or by itself. */
  async function run(
    user: User,
    packages: "packages" | "no-packages",
    command: readonly string[],
    until?: string,
  ): Promise<Outcome> {
    const { CI: _, ...environment } = process.env;
    const place = [checkout, join(PROJECT, "node_modules"), String(USERS[user]), packages];
    const child = spawn(join(import.meta.dirname, "unprepared-host.sh"), [...place, ...command], {
      stdio: ["ignore", "pipe", "pipe"],
      // The checkout is the ordinary user's, for root too.
      env: {
        ...environment,
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: "safe.directory",
        GIT_CONFIG_VALUE_0: "*",
      },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      if (until !== undefined && stdout.includes(until)) child.kill("SIGKILL");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on("error", reject).on("close", resolve);
    return { code: await promise, stdout, stderr };
  }

  const npmRun = (name: string, ...args: readonly string[]) => [
    ...["npm", "run", "--silent", "--no-update-notifier", name],
    ...(args.length === 0 ? [] : ["--", ...args]),
  ];

  function expectConduct(conduct: Conduct, { code, stdout, stderr }: Outcome): void {
    const lines = stderr.split("\n").filter((line) => line !== "");
    expect(`${stdout}${stderr}`).not.toMatch(/^ +at .*:\d+:\d+\)?$/m);
    if (conduct === "works") return expect({ code, stderr }).toMatchObject({ code: 0 });
    if (conduct === "goes on") {
      expect(stderr).toMatch(/^packages: /m);
      expect(stderr).toContain("SKIPPED: Debian packages");
      return expect(stdout).toContain("== check");
    }
    expect(code).toBe(1);
    if (conduct === "refuses") {
      expect(lines).toHaveLength(1);
      return expect(lines[0]).toMatch(/needs root|missing|cannot write/);
    }
    expect(stderr).toContain("asked: apt-get install");
    return expect(stderr).toMatch(/^packages: (?:cannot install|apt-get update failed)/m);
  }

  const cases = Object.entries(SCRIPTS).flatMap(([name, { args = [], root, user }]) => {
    const rows: [name: string, user: User, conduct: Conduct, args: readonly string[]][] = [];
    rows.push([name, "an ordinary user", user, args]);
    if (root !== undefined) rows.push([name, "root", root, args]);
    return rows;
  });

  test.each(cases)("npm run %s by %s %s", async (name, user, conduct, args) => {
    const until = conduct === "goes on" ? "== check" : undefined;
    const outcome = await run(user, "no-packages", npmRun(name, ...args), until);
    expectConduct(conduct, outcome);
  });

  test("an image is not built in a cache that is root's", async () => {
    rmSync(join(checkout, ".cache"), { recursive: true, force: true });
    mkdirSync(join(checkout, ".cache"));
    const outcome = await run("an ordinary user", "no-packages", npmRun("image:tiny"));
    expectConduct("refuses", outcome);
    rmSync(join(checkout, ".cache"), { recursive: true });
  });

  test("a measurement that needs nothing of the host is for everybody", async () => {
    const args = ["--only", "cli-start", "--runs", "1"];
    const outcome = await run("an ordinary user", "no-packages", npmRun("bench", ...args));
    expect(outcome.stderr).toBe("measuring cli-start\n");
    expect(outcome.stdout).toContain("start of n0cli --version");
  });

  test("where only libvirtd does not run, it is started and ended", async () => {
    const args = ["--only", "generate", "--runs", "1"];
    const { stdout, stderr } = await run("root", "packages", npmRun("bench", ...args));
    expect(stderr).toMatch(
      /libvirtd: starting libvirtd\n[^]*measuring generate\n[^]*libvirtd: ending libvirtd/,
    );
    expect(stdout).toContain("GenerateBlockStorage");
  });
});
