import { expect, test } from "vitest";
import { until } from "./until.ts";

test("the first answer that is neither undefined nor false is returned", async () => {
  const answers = [undefined, false, 0, 1];
  expect(await until(() => answers.shift(), { everyMs: 0 })).toBe(0);
  expect(answers).toEqual([1]);
});

test("what does not come in time is an error that says what it is", async () => {
  const short = { timeoutMs: 5, everyMs: 1 };
  await expect(until(() => false, { ...short, what: "it rains" })).rejects.toThrow(
    "not within 5 ms: it rains",
  );
  await expect(
    until(async () => undefined, { ...short, onTimeout: () => new RangeError("dry") }),
  ).rejects.toThrow(RangeError);
});

test("an error of the question ends the waiting", async () => {
  const ask = () => {
    throw new Error("no answer");
  };
  await expect(until(ask)).rejects.toThrow("no answer");
});
