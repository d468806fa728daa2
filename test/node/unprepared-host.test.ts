// Every script of package.json on a machine that nobody has prepared: it prepares what it needs, or says in
// one line what is missing. None is run to its end where that takes long.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "./requirements.ts";
import { type Checkout, newCheckout, type Outcome, PROJECT, type User } from "./unprepared-host.ts";

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
  attack: { args: ["--seconds", "1", "--only", "http1"], user: "works" },
  explore: { args: ["--seed", "1", "src/util/cidr.test.ts"], user: "works" },
  sim: { args: ["--seed", "1", "--ops", "20"], user: "works" },
  "test:e2e": ON_HOST,
  "test:lab": ON_HOST,
  lab: { args: ["up", "--nodes", "1"], ...ON_HOST },
  check: { args: ["words", "shell"], user: "works" },
  format: { user: "works" },
  gen: { user: "works" },
  bench: ON_HOST,
  prepare: { user: "works" },
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
  let checkout: Checkout;
  beforeAll(async () => {
    checkout = await newCheckout();
  });
  afterAll(() => checkout[Symbol.asyncDispose]());

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
    expect(stderr).toMatch(/asked: apt-get (?:update|install)/);
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
    const outcome = await checkout.run(user, "no-packages", npmRun(name, ...args), until);
    expectConduct(conduct, outcome);
  });

  test("an image is not built in a cache that is root's", async () => {
    rmSync(join(checkout.folder, ".cache"), { recursive: true, force: true });
    mkdirSync(join(checkout.folder, ".cache"));
    const outcome = await checkout.run("an ordinary user", "no-packages", npmRun("image:tiny"));
    expectConduct("refuses", outcome);
    rmSync(join(checkout.folder, ".cache"), { recursive: true });
  });

  test("a measurement that needs nothing of the host is for everybody", async () => {
    const args = ["--only", "cli-start", "--runs", "1"];
    const outcome = await checkout.run("an ordinary user", "no-packages", npmRun("bench", ...args));
    expect(outcome.stderr).toBe("measuring cli-start\n");
    expect(outcome.stdout).toContain("n0cli --version, against a Node that does nothing");
  });

  test("where only libvirtd does not run, it is started and ended", async () => {
    const configuration = "/etc/libvirt/qemu.conf";
    // As a version before left it, that had QEMU run as root.
    const lines = String.raw`\n# Added by n0stack: no systemd here.\nuser = "root"\ngroup = "root"\n`;
    const former = `cp ${configuration} "$HOME/before"; printf '${lines}' >>${configuration}`;
    const script = `${former}; "$@"; cmp ${configuration} "$HOME/before" && echo same`;
    const args = ["--only", "generate", "--runs", "1"];
    const command = ["sh", "-c", script, "sh", ...npmRun("bench", ...args)];
    const { stdout, stderr } = await checkout.run("root", "packages", command);
    expect(stdout).toMatch(/same\n$/);
    expect(stderr).toContain(`${configuration}: removing what n0stack added`);
    expect(stderr).toMatch(
      /libvirtd: starting libvirtd\n[^]*measuring generate\n[^]*libvirtd: ending libvirtd/,
    );
    expect(stdout).toContain("GenerateBlockStorage");
  });
});
