import { expect, test } from "vitest";
import { newKeyedMutex } from "./keyed-mutex.ts";

test("work of one key runs one at a time, first come first served", async () => {
  const mutex = newKeyedMutex();
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const works = [
    mutex.run("a", async () => {
      order.push("1 starts");
      await first.promise;
      order.push("1 ends");
    }),
    mutex.run("a", async () => void order.push("2")),
    mutex.run("a", async () => void order.push("3")),
  ];
  await mutex.run("b", async () => void order.push("b does not wait"));
  first.resolve();
  await Promise.all(works);
  expect(order).toEqual(["1 starts", "b does not wait", "1 ends", "2", "3"]);
});

test("work that fails rejects its own caller alone and frees the key", async () => {
  const mutex = newKeyedMutex();
  const failed = mutex.run("a", () => Promise.reject(new Error("broken")));
  const thrown = mutex.run("a", () => {
    throw new Error("thrown at once");
  });
  const next = mutex.run("a", async () => "fine");
  await expect(failed).rejects.toThrow("broken");
  await expect(thrown).rejects.toThrow("thrown at once");
  await expect(next).resolves.toBe("fine");
});

test("nothing is kept for a key that nobody holds", async () => {
  const mutex = newKeyedMutex();
  const works = Array.from({ length: 100 }, (_, n) => mutex.run(`key ${n % 7}`, async () => n));
  expect(mutex.size).toBe(7);
  await Promise.all(works);
  await Promise.resolve();
  expect(mutex.size).toBe(0);
});

test("work asked for from inside other work of the same key runs after it", async () => {
  const mutex = newKeyedMutex();
  const order: string[] = [];
  let inner: Promise<void> | undefined;
  await mutex.run("a", async () => {
    inner = mutex.run("a", async () => void order.push("inner"));
    order.push("outer");
  });
  await inner;
  expect(order).toEqual(["outer", "inner"]);
});
