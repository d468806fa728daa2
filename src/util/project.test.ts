import { expect, test } from "vitest";
import { wrongInProjectName } from "./project.ts";

test.each(["acme", "a", "0", "Acme_2-x", "x".repeat(63)])("%s names a project", (project) => {
  expect(wrongInProjectName(project)).toBeUndefined();
});

test.each([
  "",
  "a.b",
  "a/b",
  "a~b",
  "../a",
  "-a",
  "_a",
  "a b",
  "a, b",
  "a\n",
  "%61",
  "x".repeat(64),
])("%j names none", (project) => {
  expect(wrongInProjectName(project)).toMatch(/^".*" is not the name of a project: write/);
});
