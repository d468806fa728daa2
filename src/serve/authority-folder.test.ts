import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../util/clock.ts";
import { silentLog } from "../util/log.ts";
import { systemRandom } from "../util/random.ts";
import { ensureAuthority, hasAuthority } from "./authority-folder.ts";

const deps = { clock: systemClock, random: systemRandom, log: silentLog };

function newBase(): string {
  const folder = mkdtempSync(join(tmpdir(), "n0-authority-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("the authority is made once, for its owner alone", async () => {
  const base = newBase();
  expect(hasAuthority(base)).toBe(false);
  const made = await ensureAuthority(base, deps);
  expect(hasAuthority(base)).toBe(true);
  expect((await ensureAuthority(base, deps)).fingerprint).toBe(made.fingerprint);
  const folder = join(base, "authority");
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(folder))
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
});

test("a start that died in the middle leaves nothing", async () => {
  const base = newBase();
  mkdirSync(join(base, "authority.new"));
  writeFileSync(join(base, "authority.new", "key.pem"), "half");
  await ensureAuthority(base, deps);
  expect(existsSync(join(base, "authority.new"))).toBe(false);
});

test("a key that others can read, that is lost or that is another's is refused", async () => {
  const base = newBase();
  await ensureAuthority(base, deps);
  const key = join(base, "authority", "key.pem");
  chmodSync(key, 0o644);
  await expect(ensureAuthority(base, deps)).rejects.toThrow(`run chmod 600 ${key}`);
  rmSync(key);
  await expect(ensureAuthority(base, deps)).rejects.toThrow("cannot be used");
  const other = newBase();
  await ensureAuthority(other, deps);
  rmSync(join(base, "authority"), { recursive: true });
  await ensureAuthority(base, deps);
  cpSync(join(other, "authority", "key.pem"), key);
  await expect(ensureAuthority(base, deps)).rejects.toThrow("is not its own");
});
