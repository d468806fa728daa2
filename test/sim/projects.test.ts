import { expect, test, vi } from "vitest";
import { PROJECTS } from "./projects.ts";
import { simulate } from "./simulation.ts";

vi.setConfig({ testTimeout: 300_000 });

test("two projects whose objects have the same names do not meet", async () => {
  const { violations, coverage } = await simulate({ ops: 600, nodes: 3, clients: 8, seed: 7 });
  expect(violations).toEqual([]);
  for (const project of PROJECTS) {
    expect(coverage.committedIn.get(project), project).toBeGreaterThan(20);
  }
});
