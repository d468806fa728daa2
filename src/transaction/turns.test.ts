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

test("the first work of a project starts at once, and its further work waits for one of another's, not for all", async () => {
  const { started, ask, endOne } = newWork(new Turns({ most: () => 1 }));
  for (let i = 0; i < 500; i++) void ask("flood", `flood-${i}`);
  for (const name of ["quiet-0", "quiet-1", "quiet-2"]) void ask("quiet", name);
  void ask("other", "other-0");
  await new Promise(setImmediate);
  expect(started).toEqual(["flood-0", "quiet-0", "other-0"]);
  for (let i = 0; i < 6; i++) await endOne();
  expect(started.slice(3)).toEqual(["flood-1", "quiet-1", "flood-2", "quiet-2", "flood-3"]);
});

test("as much runs at a time as the limit says at that moment", async () => {
  let limit = 3;
  const { started, ask, endOne } = newWork(new Turns({ most: () => limit }));
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

test("what ends at the same moment goes on in several turns of the event loop, in rotation", async () => {
  const turns = new Turns({ most: () => 100, perLoopTurn: () => 2 });
  const end = Promise.withResolvers<void>();
  let loopTurn = 0;
  const wentOn: [name: string, loopTurn: number][] = [];
  const started: string[] = [];
  const ask = async (project: string, name: string) => {
    await turns.run(project, () => {
      started.push(name);
      return end.promise;
    });
    wentOn.push([name, loopTurn]);
    // What follows it is not in the way of those that have still to go on.
    if (name === "flood-0") void ask("flood", "next");
  };
  for (let i = 0; i < 5; i++) void ask("flood", `flood-${i}`);
  void ask("quiet", "quiet-0");
  end.resolve();
  for (; wentOn.length < 7; loopTurn++) await new Promise(setImmediate);
  expect(wentOn.map(([name]) => name)).toEqual([
    ...["flood-0", "flood-1", "flood-2", "quiet-0", "flood-3", "flood-4", "next"],
  ]);
  const [first] = wentOn[0]!.slice(1) as [number];
  expect(wentOn.map(([, turn]) => turn - first)).toEqual([0, 0, 1, 1, 2, 2, 3]);
  expect(started.at(-1)).toBe("next");
});

test("work that fails gives its turn back", async () => {
  const turns = new Turns({ most: () => 1 });
  const fails = turns.run("a", () => Promise.reject(new Error("no")));
  const next = turns.run("a", () => Promise.resolve("yes"));
  await expect(fails).rejects.toThrow("no");
  expect(await next).toBe("yes");
});
