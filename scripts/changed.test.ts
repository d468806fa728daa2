import { expect, test } from "vitest";
import { runsFor } from "./changed.ts";

/** The suites that run whole. */
function suitesFor(...files: readonly string[]): readonly string[] {
  const [, , whole = []] = runsFor(files, "HEAD");
  return whole.filter((word) => word !== "--project");
}

test("what a driver is made of is tested by every suite on the host", () => {
  expect(suitesFor("src/driver/network/netns/names.ts")).toEqual([
    "node",
    "e2e",
    "lab",
    "crash",
    "attack",
  ]);
});

test("n0cli is tested by real processes, and the unit tests that its files lead to", () => {
  expect(suitesFor("cli/table.ts")).toEqual(["e2e", "lab"]);
  expect(runsFor(["cli/table.ts"], "abc")[0]).toEqual([
    "--changed",
    "abc",
    "--passWithNoTests",
    "--project",
    "unit",
    "--project",
    "node",
  ]);
});

test("a page, and a unit test, need no host", () => {
  expect(suitesFor("docs/simulation.md", "src/util/cidr.test.ts")).toEqual([]);
  expect(runsFor(["docs/simulation.md"], "HEAD")[1]).toContain("test/documents.test.ts");
  expect(runsFor(["docs/simulation.md"], "HEAD")[1]).not.toContain("cli/main.test.ts");
});

test("a program is started by the unit tests that start programs", () => {
  expect(runsFor(["bin/n0cli"], "HEAD")[1]).toContain("cli/main.test.ts");
});

test("what is beside a resource is tested by those that gather it", () => {
  const beside = (end: string) => `src/api/iam/user/user.${end}.ts`;
  expect(suitesFor(beside("cases"))).toEqual(["crash", "attack"]);
  expect(runsFor([beside("cases")], "HEAD")[1]).toContain("test/");
  expect(suitesFor(beside("sim"), beside("drift"))).toEqual([]);
  expect(runsFor([beside("sim")], "HEAD")[1]).toContain("test/sim/");
  expect(runsFor([beside("drift")], "HEAD")[1]).toContain("src/api/observe/verify/");
});

test("another dependency, or another configuration, runs everything", () => {
  expect(runsFor(["docs/simulation.md", "package-lock.json"], "HEAD")).toEqual([[]]);
  expect(runsFor(["vitest.config.ts"], "HEAD")).toEqual([[]]);
});
