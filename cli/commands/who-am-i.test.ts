import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { localTransport } from "../../src/rpc/local-transport.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { PROJECT_HEADER } from "../../src/util/project.ts";
import { newWorld, type World, withHeaders } from "../../test/world.ts";
import { run } from "../program.ts";
import { commandsIn } from "../testing/commands-in.ts";
import { newTestIo, type TestIoOptions } from "../testing/test-io.ts";

async function n0cli(
  world: World,
  words: readonly string[],
  transport = world.transport,
  options: Pick<TestIoOptions, "stdin" | "homeFolder"> = {},
) {
  const io = newTestIo({ transport, isTerminal: true, ...options });
  const exitCode = await run([...words], { ...io.io, clock: systemClock });
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

test("each command of docs/operating/identity.md works, in this order", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const commands = commandsIn("docs/operating/identity.md");
  expect(commands.length).toBeGreaterThan(20);
  const homeFolder = await mkdtemp(join(tmpdir(), "n0cli-identity-"));
  await using _ = { [Symbol.asyncDispose]: () => rm(homeFolder, { recursive: true }) };
  // Whatever asks for a password gets the same one.
  const stdin = ["a good password\r", "a good password\r"];
  for (const words of commands) {
    // The transport of the program, which this one stands for, sends the header.
    const project = words[words.indexOf("--project") + 1];
    const { transport } = words.includes("--project")
      ? withHeaders(world, { [PROJECT_HEADER]: project ?? "" })
      : world;
    const { exitCode, stderr } = await n0cli(world, words, transport, { stdin, homeFolder });
    const failure = exitCode === 0 ? "" : stderr;
    expect({ words, exitCode, failure }).toEqual({ words, exitCode: 0, failure: "" });
  }
});

test("whoami and can-i say what the caller has, and the exit code is 4 if he may not", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await n0cli(world, ["user", "create", "ann"]);
  const bind = "binding create b --role viewer --member user/ann --scope project/default";
  const made = await n0cli(world, bind.split(" "));
  expect(made.stdout).toMatch(/^NAME +ROLE +MEMBER +SCOPE/);
  const interceptors = serverInterceptors(silentLog);
  const caller = { principal: "user/ann", groups: ["group/ops"] };
  const ann = localTransport(world.opened.routes, { interceptors, caller });
  const has = "viewer in project/default, as user/ann, by role binding b";
  const who = await n0cli(world, ["whoami"], ann);
  expect(who.stdout).toBe(`user/ann\nin group/ops\nworks in project/default\n${has}\n`);
  expect(await n0cli(world, ["can-i", "list", "image"], ann)).toMatchObject({
    exitCode: 0,
    stdout: `yes: ${has}\n`,
  });
  for (const question of ["can-i apply image", "can-i list node --scope system"]) {
    expect(await n0cli(world, question.split(" "), ann)).toMatchObject({
      exitCode: 4,
      stdout: "no\n",
    });
  }
  const unknown = await n0cli(world, ["can-i", "list", "imag"], ann);
  expect(unknown).toMatchObject({ exitCode: 2 });
  expect(unknown.stderr).toContain('did you mean "image"');
});

test("a role binding of any place is shown and deleted", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const scope = ["--scope", "system"];
  const bind = "binding create b --role viewer --member group/ops".split(" ");
  expect((await n0cli(world, [...bind, ...scope])).exitCode).toBe(0);
  const shown = await n0cli(world, ["get", "role_binding", "b", ...scope]);
  expect(shown.stdout).toContain("group/ops");
  expect((await n0cli(world, ["get", "role_binding", "b"])).exitCode).toBe(5);
  expect((await n0cli(world, ["delete", "role_binding", "b", ...scope])).exitCode).toBe(0);
  expect((await n0cli(world, ["get", "role_binding", "b", ...scope])).exitCode).toBe(5);
});
