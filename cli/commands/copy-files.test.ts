import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { run } from "../program.ts";
import { makeWeb, openTestApi } from "../testing/test-api.ts";
import { newTestIo } from "../testing/test-io.ts";

const homeFolder = mkdtempSync(join(tmpdir(), "n0cli-copy-"));
const api = await openTestApi();
await makeWeb(api);
afterAll(async () => {
  rmSync(homeFolder, { recursive: true });
  await api[Symbol.asyncDispose]();
});

async function cp(...words: readonly string[]) {
  const t = newTestIo({ transport: api.transport, homeFolder });
  const exitCode = await run(["cp", ...words], t.io);
  const [[program = "", ...args] = []] = t.executed;
  return { exitCode, stderr: t.stderr(), program, args };
}

test("scp copies through vm forward, as the login user", async () => {
  const { exitCode, program, args } = await cp("-rp", "a", "/b:c", "web:/srv");
  expect([exitCode, program]).toEqual([0, "scp"]);
  expect(args.join(" ")).toContain("'vm' 'forward' '--' 'web' '22'");
  expect(args).toContain("User=n0");
  expect(args.slice(args.indexOf("--") - 1)).toEqual(["-rp", "--", "a", "/b:c", "web:/srv"]);
});

test.each([[["web:a", "web:b c", "."]], [["./x:y", "x/y:z", "/x:y", "web:"]], [[":x", "web:y"]]])(
  "%j: what scp takes for a path of this computer is one",
  async (words) => {
    const { args } = await cp(...words);
    expect(args.slice(args.indexOf("--") + 1)).toEqual(words);
  },
);

test.each([
  [["a", "b"], 2, "name a virtual machine"],
  [["web:a", "web:b"], 2, "must be on this computer"],
  [["a", "web:b", "."], 2, "all in one virtual machine"],
  [["a", "-FProxyCommand=x:"], 2, "unknown option"],
  [["--", "a", "-oProxyCommand=x:"], 2, "is not the name of a virtual machine"],
  [["a", "gone:b"], 5, "does not exist"],
] as const)("%j is refused, and nothing runs", async (words, exitCode, message) => {
  const refusal = await cp(...words);
  expect(refusal).toMatchObject({ exitCode, program: "" });
  expect(refusal.stderr).toContain(message);
});
