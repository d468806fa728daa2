import { expect, test } from "vitest";
import { newKeyedMutex } from "./keyed-mutex.ts";
import { newTogether } from "./together.ts";

test("what is asked for while the key is held is done at once, in its order; other keys by themselves", async () => {
  const mutex = newKeyedMutex();
  const done: string[] = [];
  const together = newTogether<number>(mutex, async (key, things) => {
    done.push(`${key}: ${things.join(" ")}`);
  });
  const held = Promise.withResolvers<void>();
  const holder = mutex.run("a", () => held.promise);
  const asked = [together("a", 1), together("a", 2), together("b", 3), together("a", 4)];
  await asked[2];
  expect(done).toEqual(["b: 3"]);
  held.resolve();
  await Promise.all([holder, ...asked]);
  expect(done).toEqual(["b: 3", "a: 1 2 4"]);
  await together("a", 5);
  expect(done.at(-1)).toBe("a: 5");
  await new Promise(setImmediate);
  expect(mutex.size).toBe(0);
});

test("what is asked for during the work is done after it", async () => {
  const done: string[] = [];
  const together = newTogether<number>(newKeyedMutex(), async (_key, things) => {
    done.push(things.join(" "));
    if (things.includes(1)) later.push(together("a", 2), together("a", 3));
  });
  const later: Promise<void>[] = [];
  await together("a", 1);
  await Promise.all(later);
  expect(done).toEqual(["1", "2 3"]);
});

test("where several fail each is done alone, and fails for itself", async () => {
  const done: string[] = [];
  const together = newTogether<string>(newKeyedMutex(), async (_key, things) => {
    if (things.includes("bad")) throw new Error(`cannot do ${things.join(" ")}`);
    done.push(things.join(" "));
  });
  const [one, bad, other] = await Promise.allSettled([
    together("a", "one"),
    together("a", "bad"),
    together("a", "other"),
  ]);
  expect(bad).toMatchObject({ status: "rejected", reason: { message: "cannot do bad" } });
  expect([one.status, other.status]).toEqual(["fulfilled", "fulfilled"]);
  expect(done).toEqual(["one", "other"]);
});
