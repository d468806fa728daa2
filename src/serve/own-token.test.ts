import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readTokenFile } from "../rpc/token-auth.ts";
import { silentLog } from "../util/log.ts";
import { ensureOwnToken } from "./own-token.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "n0-own-token-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("it is made once, for its owner alone, and said once", () => {
  const folder = newFolder();
  const said: string[] = [];
  const log = { ...silentLog, info: (message: string) => void said.push(message) };
  const path = ensureOwnToken(folder, "api", log);
  expect(path).toBe(join(folder, "token"));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const { value, ownerUid } = readTokenFile(path);
  expect(value).toMatch(/^[\w-]{43}$/);
  expect(ownerUid).toBe(process.getuid?.());
  ensureOwnToken(folder, "agent", log);
  expect(readTokenFile(path).value).toBe(value);
  expect(said).toEqual(["made the token that clients must send"]);
  expect(readdirSync(folder)).toEqual(["token"]);
});

test("what a start left that died half-way is no token, and is removed", () => {
  const folder = newFolder();
  writeFileSync(join(folder, "token.api.new"), "half");
  const path = ensureOwnToken(folder, "api", silentLog);
  expect(readFileSync(path, "utf8")).toMatch(/^[\w-]{43}\n$/);
  writeFileSync(join(folder, "token.api.new"), "half");
  ensureOwnToken(folder, "api", silentLog);
  expect(readdirSync(folder)).toEqual(["token"]);
});

test("a folder that cannot be written to is named", () => {
  expect(() => ensureOwnToken("/proc/nowhere", "api", silentLog)).toThrow(
    "token file /proc/nowhere/token: cannot be made",
  );
});
