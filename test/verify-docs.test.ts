import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { codesTable } from "./verify-codes-table.ts";

test("docs/operating/verify.md has the table of the codes as the code has them", () => {
  const text = readFileSync("docs/operating/verify.md", "utf8");
  const table = text.split("\n").filter((line) => line.startsWith("|"));
  expect(table).toEqual(codesTable());
});
