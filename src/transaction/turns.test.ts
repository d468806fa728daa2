import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

/** Work that ends when it is told to. */
function newWork(turns: Turns) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  return {
    started,
    ask: (project: string, name: string) =>
      turns.run(project, () => {
        started.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      }),
    /** Ends the oldest, and waits until what follows has begun. */
    async endOne() {
      ends.shift()?.();
      await new Promise(setImmediate);
    },
  };
}

test("the one request of a project waits for one of another's, not for all of them", async () => {
  const { started, ask, endOne } = newWork(new Turns(() => 1));
  for (let i = 0; i < 500; i++) void ask("flood", `flood-${i}`);
  void ask("quiet", "quiet-0");
  void ask("other", "other-0");
  void ask("quiet", "quiet-1");
  for (let i = 0; i < 7; i++) await endOne();
  expect(started).toEqual([
    "flood-0",
    "flood-1",
    "quiet-0",
    "other-0",
    "flood-2",
    "quiet-1",
    "flood-3",
    "flood-4",
  ]);
});

test("as much runs at a time as the limit says at that moment", async () => {
  let limit = 3;
  const { started, ask, endOne } = newWork(new Turns(() => limit));
  for (let i = 0; i < 10; i++) void ask("a", `${i}`);
  await new Promise(setImmediate);
  expect(started).toHaveLength(3);
  limit = 1;
  await endOne();
  await endOne();
  expect(started).toHaveLength(3);
  limit = 4;
  await endOne();
  expect(started).toHaveLength(7);
});

test("work that fails gives its turn back", async () => {
  const turns = new Turns(() => 1);
  const fails = turns.run("a", () => Promise.reject(new Error("no")));
  const next = turns.run("a", () => Promise.resolve("yes"));
  await expect(fails).rejects.toThrow("no");
  expect(await next).toBe("yes");
});
