import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { closedFolder, takeDomainFolders } from "./domain-folder.ts";
import { ensureMarkedFolder, readFolderMark } from "./folder-mark.ts";

const mark = { owner: "virtual_machine/a", transactionId: "tx-1" };
const modeOf = (path: string) => statSync(path).mode & 0o777;
let base: string;
let folder: string;
let secret: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "n0-domain-"));
  folder = join(base, "vm", "a");
  secret = join(base, "secret");
  writeFileSync(secret, "root's", { mode: 0o600 });
});
afterEach(() => rmSync(base, { recursive: true }));

/** As an n0core before had them: QEMU's user could put anything there. */
async function formerFolder(): Promise<AsyncDisposable> {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o750);
  writeFileSync(join(folder, "seed.iso"), "seed", { mode: 0o644 });
  symlinkSync(secret, join(folder, "serial.log"));
  symlinkSync(secret, join(folder, ".owner.json.partial"));
  symlinkSync(base, join(folder, "qemu"));
  execFileSync("mkfifo", [join(folder, "serial.log.0")]);
  const server = createServer().listen(join(folder, "vnc.sock"));
  await new Promise((resolve) => server.once("listening", resolve));
  return { [Symbol.asyncDispose]: async () => void server.close() };
}

test("what may have been planted in a folder goes, and what a running domain needs stays", async () => {
  await using _ = await formerFolder();
  ensureMarkedFolder(folder, mark);
  expect(readdirSync(folder).toSorted()).toEqual(["owner.json", "seed.iso", "vnc.sock"]);
  expect(readFolderMark(folder)).toEqual(mark);
  expect(modeOf(folder)).toBe(0o711);
  expect(readFileSync(secret, "utf8")).toBe("root's");
});

test("all folders are taken at once, and files that are open to others closed", async () => {
  await using _ = await formerFolder();
  symlinkSync(base, join(base, "vm", "link"));
  const failed: string[] = [];
  takeDomainFolders(join(base, "vm"), (path) => failed.push(path));
  expect(failed).toEqual([join(base, "vm", "link")]);
  expect(readdirSync(folder).toSorted()).toEqual(["seed.iso", "vnc.sock"]);
  expect(modeOf(join(folder, "seed.iso"))).toBe(0o600);
  expect(readdirSync(base).toSorted()).toEqual(["secret", "vm"]);
  takeDomainFolders(join(base, "nowhere"), () => expect.unreachable());
});

test("a folder whose taking was cut short is taken again", () => {
  ensureMarkedFolder(folder, mark);
  symlinkSync(secret, join(folder, "serial.log"));
  chmodSync(folder, 0o700);
  ensureMarkedFolder(folder, mark);
  expect(readdirSync(folder)).toEqual(["owner.json"]);
});

test("the first folder that QEMU's user may not pass through is told", () => {
  mkdirSync(folder, { recursive: true });
  for (const open of [base, join(base, "vm"), folder]) chmodSync(open, 0o711);
  const { uid, gid } = statSync(base);
  const stranger = { uid: uid + 1, gid: gid + 1 };
  expect(closedFolder(folder, stranger)).toBeUndefined();
  expect(closedFolder(join(folder, "not", "made"), stranger)).toBeUndefined();
  chmodSync(join(base, "vm"), 0o710);
  chmodSync(folder, 0o700);
  expect(closedFolder(folder, stranger)).toBe(join(base, "vm"));
  expect(closedFolder(folder, { uid: uid + 1, gid })).toBe(folder);
  expect(closedFolder(folder, { uid: 0, gid: 0 })).toBeUndefined();
});
