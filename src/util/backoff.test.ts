import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const BACKOFF = { firstMs: 200, maxMs: 5_000 };

function delaysWith(fraction: number): number[] {
  const random = { uuid: () => "", token: () => "", fraction: () => fraction };
  return [1, 2, 3, 5, 6, 10_000].map((failures) => backoffMs(BACKOFF, failures, random));
}

test("a delay doubles up to its bound, and at most half of it is left out", () => {
  expect(delaysWith(1)).toEqual([200, 400, 800, 3_200, 5_000, 5_000]);
  expect(delaysWith(0)).toEqual([100, 200, 400, 1_600, 2_500, 2_500]);
});
