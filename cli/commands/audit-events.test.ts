import type { Transport } from "@connectrpc/connect";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { NOBODY } from "../../src/rpc/caller.ts";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { localTransport } from "../../src/rpc/local-transport.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { commandsIn } from "../testing/commands-in.ts";
import { newTestIo } from "../testing/test-io.ts";

let world: World;

beforeEach(async () => {
  world = await newWorld({ nodeCount: 0, inMemory: true });
  onTestFinished(() => world[Symbol.asyncDispose]());
});

async function n0cli(words: readonly string[], transport: Transport = world.transport) {
  const io = newTestIo({ transport, isTerminal: true });
  const exitCode = await run([...words], { ...io.io, clock: systemClock });
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

/** Alice made a network as a member, and was refused twice. */
async function prepare(): Promise<void> {
  await n0cli(["user", "create", "alice"]);
  const bind = "binding create alice --role member --member user/alice --scope project/default";
  await n0cli(bind.split(" "));
  const interceptors = serverInterceptors(silentLog);
  const caller = { principal: "user/alice", groups: [] };
  const alice = localTransport(world.opened.routes, { interceptors, caller });
  await n0cli(["network", "apply", "lan", "--ipv4_cidr", "10.0.0.0/24"], alice);
  for (let i = 0; i < 2; i += 1) {
    expect((await n0cli(["get", "node"], alice)).exitCode).toBe(4);
  }
}

/** The columns of a table, without the times. */
function cells(table: string): string[][] {
  return table
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {3,}/).slice(1));
}

test("each command of docs/operating/audit.md works", async () => {
  const commands = commandsIn("docs/operating/audit.md");
  expect(commands.length).toBeGreaterThan(8);
  for (const words of commands) {
    const { exitCode, stderr } = await n0cli(words);
    expect({ words, exitCode, stderr }).toMatchObject({ exitCode: 0 });
  }
});

test("a table says who, what, where and how it ended, the newest first", async () => {
  await prepare();
  const { stdout } = await n0cli(["audit", "list"]);
  expect(cells(stdout)).toEqual([
    ["WHO", "WHAT", "WHERE", "RESULT", "TIMES", "FROM"],
    ["user/alice", "node.list", "system", "refused: no permission", "2"],
    ["user/alice", "ApplyNetwork network/lan", "project/default", "done"],
    ["administrator", "CreateRoleBinding role_binding/alice", "project/default", "done"],
    ["administrator", "CreateUser user/alice", "domain/default", "done"],
  ]);
  const { onRefused, api } = world.opened;
  onRefused("wrong token", { peer: "192.0.2.7", host: "api" });
  api.auditEvents.note({
    kind: "sign_in",
    asker: { principal: "user/alice", peer: "192.0.2.8" },
    place: "domain/default",
    credential: "oidc",
    expiresMs: Date.UTC(2030, 0, 1),
  });
  const since = await n0cli(["audit", "list", "--since", "1h", "--kind", "sign_in"]);
  expect(cells(since.stdout)).toEqual([
    ["WHO", "WHAT", "WHERE", "RESULT", "FROM"],
    ["user/alice", "sign-in by oidc", "domain/default", "until 2030-01-01T00:00:00Z", "192.0.2.8"],
  ]);
  const strangers = await n0cli(["audit", "list", "--principal", NOBODY.principal, "-o", "jsonl"]);
  expect(
    strangers.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    {
      kind: "KIND_REFUSAL",
      asker: { principal: "nobody", peer: "192.0.2.7" },
      place: "system",
      reason: "wrong token",
      count: 1,
    },
  ]);
});

test("--limit says that there are more, and wrong flags are refused", async () => {
  await prepare();
  const limited = await n0cli(["audit", "list", "--limit", "2", "-o", "name"]);
  expect(limited.stdout.trim().split("\n")).toHaveLength(2);
  expect(limited.stderr).toContain("--limit 0");
  const all = await n0cli(["audit", "list", "--limit", "0", "-o", "name"]);
  expect(all.stdout.trim().split("\n")).toHaveLength(4);
  expect(all.stderr).toBe("");
  expect(await n0cli(["audit", "list", "--principal", "user/bob"])).toMatchObject({
    exitCode: 0,
    stdout: "",
    stderr: "No event matches.\n",
  });
  for (const wrong of [
    ["--kind", "changes"],
    ["--since", "yesterday"],
  ]) {
    expect((await n0cli(["audit", "list", ...wrong])).exitCode).toBe(2);
  }
});
