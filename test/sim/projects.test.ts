import { expect, test, vi } from "vitest";
import { PROJECTS } from "./projects.ts";
import { simulate } from "./simulation.ts";

vi.setConfig({ testTimeout: 300_000 });

test("two projects whose objects have the same names meet only where they share", async () => {
  const scale = { ops: 2000, nodes: 3, clients: 8 };
  const { violations, coverage } = await simulate({ ...scale, seed: 7 });
  expect(violations).toEqual([]);
  for (const project of PROJECTS) {
    expect(coverage.committedIn.get(project), project).toBeGreaterThan(100);
  }
});
