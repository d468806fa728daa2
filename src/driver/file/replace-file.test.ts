import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { replaceFile, replaceFileSync } from "./replace-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "n0-replace-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;
const WAYS = {
  replaceFile: (path: string, text: string) => replaceFile(path, Buffer.from(text), never),
  replaceFileSync: (path: string, text: string) => replaceFileSync(path, Buffer.from(text)),
};

describe.each(Object.entries(WAYS))("%s", (_name, replace) => {
  test("is for its owner alone, whatever stood there", async () => {
    const path = join(folder, "file");
    writeFileSync(path, "old", { mode: 0o644 });
    await replace(path, "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("writes through no link: not of the file, and not of an attempt", async () => {
    const secret = join(folder, "secret");
    writeFileSync(secret, "root's");
    const path = join(folder, "file");
    for (const planted of ["file", ".file.partial", ".file.guess.partial"]) {
      symlinkSync(secret, join(folder, planted));
    }
    await replace(path, "new");
    expect(readFileSync(secret, "utf8")).toBe("root's");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(folder).toSorted()).toEqual(["file", "secret"]);
  });
});

test("a write that is given up leaves what was there, and nothing else", async () => {
  const path = join(folder, "file");
  writeFileSync(path, "old");
  const attempt = replaceFile(path, Buffer.from("new"), AbortSignal.abort(new Error("hung up")));
  await expect(attempt).rejects.toThrow();
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["file"]);
});
