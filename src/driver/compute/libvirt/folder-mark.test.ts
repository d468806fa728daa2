import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatRef, nameOnNode } from "../../../util/ref.ts";
import { folderName } from "./domain-paths.ts";
import { ensureMarkedFolder, listMarkedFolders, readFolderMark } from "./folder-mark.ts";

const mark = { owner: "virtual_machine/a", transactionId: "tx-1" };
let base: string;
let folder: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "n0-folder-"));
  folder = join(base, "vm", "a");
});
afterEach(() => rmSync(base, { recursive: true }));

test("a folder bears the mark it was made with, and nothing else", () => {
  expect(readFolderMark(folder)).toBeUndefined();
  ensureMarkedFolder(folder, mark);
  ensureMarkedFolder(folder, { ...mark, transactionId: "tx-2" });
  expect(readFolderMark(folder)).toEqual(mark);
  expect(readdirSync(folder)).toEqual(["owner.json"]);
});

test("folders are listed by the names of their virtual machines, even if these are too long for a folder", () => {
  const refs = ["web", "n".repeat(63)].flatMap((name) =>
    ["default", "acme"].map((scope) => ({ kind: "virtual_machine", scope, name })),
  );
  for (const ref of refs) {
    const path = join(base, "vm", folderName(nameOnNode(ref)));
    ensureMarkedFolder(path, { owner: formatRef(ref), transactionId: "tx-1" });
  }
  const listed = listMarkedFolders(join(base, "vm")).map(({ name }) => name);
  expect(listed.toSorted()).toEqual(refs.map(nameOnNode).toSorted());
});

test.each(["", "{", "null", '{"owner":1}'])("%j in place of a mark is none", (text) => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "owner.json"), text);
  expect(readFolderMark(folder)).toBeUndefined();
});

test("a folder whose maker died before it could mark it gets the mark of the next", () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, ".owner.json.partial"), "{");
  ensureMarkedFolder(folder, mark);
  expect(readFolderMark(folder)).toEqual(mark);
  expect(readdirSync(folder)).toEqual(["owner.json"]);
});
