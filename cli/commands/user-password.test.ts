import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Listener, listen } from "../../src/rpc/listen.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { newTokenFile, type TokenFile } from "../../test/token-file.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";
import { openGrpcTransport } from "../transport.ts";

const FIRST = "the first password";
const SECOND = "the second password";
let home = "";
let file: TokenFile;
let world: World;
let listener: Listener;
let aheadMs = 0;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "n0cli-password-"));
  file = newTokenFile(join(home, "n0core"));
  world = await newWorld({ nodeCount: 0, inMemory: true });
  await world.users.createUser({ name: "ann" });
  const { routes, authenticate } = world.opened;
  const address = { host: "127.0.0.1", port: 0, token: file.token };
  listener = await listen({ ...address, routes, authenticate, log: silentLog });
});
afterAll(async () => {
  await listener.stop(0);
  await world[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

interface Typed {
  /** At the terminal, or else into the pipe. */
  readonly isTerminal?: boolean;
  readonly stdin?: readonly string[];
}

async function n0cli(words: string, { isTerminal = false, stdin = [] }: Typed = {}) {
  const t = newTestIo({ homeFolder: home, isTerminal, stdin });
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  const io = { ...t.io, clock };
  const openTransport: typeof io.openTransport = (connection) => openGrpcTransport(connection, io);
  const flags = ["--api-endpoint", listener.url, "--no-wait"];
  const exitCode = await run([...flags, ...words.split(" ")], { ...io, openTransport });
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

const asAdministrator = (words: string, typed?: Typed) =>
  n0cli(`${words} --token-file ${file.path}`, typed);

test("a password is typed twice without being shown, and with it a user signs in until logout", async () => {
  const mistyped = { isTerminal: true, stdin: [`${FIRST}\r`, `${SECOND}\r`] };
  const differs = await asAdministrator("user set-password ann", mistyped);
  expect(differs.exitCode).not.toBe(0);
  expect(differs.stderr).toContain("the two passwords differ");
  // Ctrl-U deletes all, backspace one letter, and keys may come in any pieces.
  const keys = ["wrong\u0015", `${FIRST}x\u007f`, `\r${FIRST.slice(0, 4)}`, `${FIRST.slice(4)}\r`];
  const set = await asAdministrator("user set-password ann", { isTerminal: true, stdin: keys });
  expect(set.exitCode).toBe(0);
  expect(set.stderr).toContain("New password: \nThe same again: \n");
  expect(`${set.stdout}${set.stderr}`).not.toContain(FIRST);

  const login = await n0cli("login --user ann", { isTerminal: true, stdin: [`${FIRST}\n`] });
  expect(login.stderr).toContain("Password of ann: \n");
  expect(login).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining(`signed in at ${listener.url} as user/ann`),
  });
  const folder = join(home, ".config/n0stack/sign-ins");
  const [stored = ""] = await readdir(folder);
  expect((await stat(join(folder, stored))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(folder, stored), "utf8")).not.toContain(FIRST);
  expect((await n0cli("whoami")).stdout).toContain('"principal": "user/ann"');

  const own = { stdin: [`${FIRST}\n`, `${SECOND}\n`] };
  expect((await n0cli("user set-password ann --password-stdin", own)).exitCode).toBe(0);
  expect((await n0cli("whoami")).exitCode).toBe(0);
  expect(await n0cli("logout")).toMatchObject({
    exitCode: 0,
    stderr: `signed out of ${listener.url}\n`,
  });
  expect(await readdir(folder)).toEqual([]);
  expect(await world.opened.api.datastore.list("token/")).toEqual([]);
});

test("an ended session says how to begin another one, and logout forgets it", async () => {
  await asAdministrator("user set-password ann --password-stdin", { stdin: [FIRST] });
  const login = "login --user ann --password-stdin";
  expect((await n0cli(login, { stdin: [`${FIRST}\n`] })).exitCode).toBe(0);
  aheadMs = 13 * 3_600_000;
  const late = await n0cli("whoami");
  aheadMs = 0;
  expect(late.exitCode).toBe(4);
  expect(late.stderr).toContain("the session of user/ann has ended: run n0cli login --user ann");
  expect((await asAdministrator("user remove-password ann")).exitCode).toBe(0);
  expect((await n0cli("whoami")).exitCode).not.toBe(0);
  expect((await n0cli("logout")).stderr).toBe(`signed out of ${listener.url}\n`);
  const gone = await n0cli(login, { stdin: [FIRST] });
  expect(gone.exitCode).not.toBe(0);
  expect(gone.stderr).toContain("the user or the password is not right");
});

test("a password is not asked for without a terminal, and Ctrl-C ends the question", async () => {
  const blind = await n0cli("login --user ann");
  expect(blind).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("send the password there, with --password-stdin"),
  });
  const stopped = await n0cli("login --user ann", { isTerminal: true, stdin: ["abc\u0003"] });
  expect(stopped.exitCode).toBe(130);
  const t = newTestIo({ homeFolder: home, stdin: [FIRST] });
  const far = ["--api-endpoint", "http://cloud.example:20180"];
  for (const words of ["login --user ann", "user set-password ann"]) {
    await run([...far, ...words.split(" "), "--password-stdin"], t.io);
  }
  expect(t.stderr().match(/because the connection is not encrypted/g)).toHaveLength(2);
});
