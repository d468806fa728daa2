import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorCode, ifThere, ifThereSync, isAbsent } from "./errno.ts";

const here = import.meta.filename;
const nowhere = join(import.meta.dirname, "no-such-file");
const belowFile = join(here, "x");

test("what is not there is undefined, and what cannot be read is an error", async () => {
  expect(await ifThere(readFile(nowhere))).toBeUndefined();
  expect(ifThereSync(() => readFileSync(nowhere))).toBeUndefined();
  expect(await ifThere(readFile(here, "utf8"))).toContain("what is not there");
  expect(ifThereSync(() => readFileSync(here, "utf8"))).toContain("what is not there");
  await expect(ifThere(readFile(belowFile))).rejects.toMatchObject({ code: "ENOTDIR" });
  expect(() => ifThereSync(() => readFileSync(belowFile))).toThrow("ENOTDIR");
});

test("only an error of the system has a code", () => {
  expect(errorCode(Object.assign(new Error("no"), { code: "EIO" }))).toBe("EIO");
  expect(errorCode(Object.assign(new Error("no"), { code: 5 }))).toBeUndefined();
  expect(errorCode(new Error("no"))).toBeUndefined();
  expect(isAbsent({ code: "ENOENT" })).toBe(false);
});
