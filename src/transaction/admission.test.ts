import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { N0Error } from "../util/errors.ts";
import { Admission } from "./admission.ts";

function refusalOf(admission: Admission): N0Error {
  try {
    admission.admit();
  } catch (reason) {
    if (reason instanceof N0Error) return reason;
  }
  throw new Error("was admitted");
}

const delayOf = (admission: Admission) => refusalOf(admission).facts.retryAfterMs ?? 0;

test("there are so many places, and one that is given back is given again", () => {
  const admission = new Admission(2, newFakeClock());
  const first = admission.admit();
  admission.admit();
  expect(refusalOf(admission).kind).toBe("resource_exhausted");
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  admission.admit();
  expect(() => admission.admit()).toThrow("2 transactions are open: try again later");
});

/** As after some load: ten places, each held for 100 ms. */
async function busy() {
  const clock = newFakeClock();
  const admission = new Admission(10, clock);
  for (let i = 0; i < 200; i++) {
    using _ = admission.admit();
    await clock.advance(100);
  }
  const places = Array.from({ length: 10 }, () => admission.admit());
  return { clock, admission, places };
}

test("each is told to come when those that were refused before it will have been let in", async () => {
  const { admission } = await busy();
  const delays = Array.from({ length: 3_000 }, () => delayOf(admission));
  expect(delays[0]).toBe(200);
  expect(delays[99]).toBeCloseTo(1_000, -1);
  expect(delays[499]).toBeCloseTo(5_000, -2);
  expect(delays).toEqual(delays.toSorted((a, b) => a - b));
  expect(delays.at(-1)).toBe(15_000);
});

test("with each place that is given back the wait is shorter, and with the last one it is over", async () => {
  const { clock, admission, places } = await busy();
  for (let i = 0; i < 100; i++) delayOf(admission);
  for (let i = 0; i < 50; i++) {
    await clock.advance(10);
    places.shift()?.[Symbol.dispose]();
    places.push(admission.admit());
  }
  expect(delayOf(admission)).toBeGreaterThan(400);
  expect(delayOf(admission)).toBeLessThan(600);
  for (const place of places) place[Symbol.dispose]();
  for (let i = 0; i < 10; i++) admission.admit();
  expect(delayOf(admission)).toBe(200);
});

test("until any was given back, a place is taken to be held for a second", () => {
  const admission = new Admission(2, newFakeClock());
  admission.admit();
  admission.admit();
  expect([delayOf(admission), delayOf(admission), delayOf(admission)]).toEqual([500, 1_000, 1_500]);
});

test("one project does not take all places, and each has them back", () => {
  const admission = new Admission(32, newFakeClock());
  const flood = Array.from({ length: 30 }, () => admission.admit("flood"));
  expect(() => admission.admit("flood")).toThrow("30 transactions of this project are open");
  expect(admission.hasQuiet).toBe(false);
  const quiet = admission.admit("quiet");
  expect([admission.projects, admission.hasQuiet]).toEqual([2, true]);
  quiet[Symbol.dispose]();
  flood[0]![Symbol.dispose]();
  admission.admit("flood");
});

test("a project stays quiet for a second after its last request, for its next one", async () => {
  const clock = newFakeClock();
  const admission = new Admission(32, clock);
  const flood = Array.from({ length: 30 }, () => admission.admit("flood"));
  const quiet = admission.admit("quiet");
  await clock.advance(5_000);
  quiet[Symbol.dispose]();
  await clock.advance(999);
  expect([admission.projects, admission.hasQuiet]).toEqual([1, true]);
  await clock.advance(1);
  expect(admission.hasQuiet).toBe(false);
  // Nobody was beside it.
  for (const place of flood) place[Symbol.dispose]();
  expect(admission.hasQuiet).toBe(false);
});
