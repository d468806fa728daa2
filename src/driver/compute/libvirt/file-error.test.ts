import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { asFileError } from "./file-error.ts";
import { ensureMarkedFolder } from "./folder-mark.ts";

function thrownBy(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

test.each([
  ["ENOSPC", "resource_exhausted", "is full"],
  ["EDQUOT", "resource_exhausted", "is full"],
  ["EROFS", "failed_precondition", "cannot write to"],
  ["EACCES", "failed_precondition", "cannot write to"],
])("%s is %s", (code, kind, words) => {
  const cause = Object.assign(new Error("/secret/path"), { code });
  expect(asFileError(cause)).toMatchObject({
    kind,
    message: expect.stringMatching(new RegExp(`^[^/]*${words}`)),
    facts: { cause },
  });
});

test("a folder on a disk that is full is refused for that", () => {
  const error = asFileError(thrownBy(() => writeFileSync("/dev/full", "x")));
  expect(error).toMatchObject({ kind: "resource_exhausted" });
});

test("what is no trouble of the disk stays what it is", () => {
  const bug = new TypeError("x");
  expect(asFileError(bug)).toBe(bug);
  const file = join(mkdtempSync(join(tmpdir(), "n0-file-")), "file");
  onTestFinished(() => rmSync(join(file, ".."), { recursive: true }));
  writeFileSync(file, "");
  const mark = { owner: "virtual_machine/a", transactionId: "tx" };
  const error = thrownBy(() => ensureMarkedFolder(join(file, "vm"), mark));
  expect(asFileError(error)).toBe(error);
});
