import { expect, test, vi } from "vitest";
import { newDice } from "./dice.ts";
import { planRounds } from "./plan.ts";
import { simulate } from "./simulation.ts";

vi.setConfig({ testTimeout: 300_000 });

const scale = { ops: 600, nodes: 3, clients: 8 };

test("the same seed gives the same run, event for event", async () => {
  const first = await simulate({ ...scale, seed: 4 });
  const second = await simulate({ ...scale, seed: 4 });
  expect(second.traceHash).toBe(first.traceHash);
  expect(second.events).toBe(first.events);
  expect(second.coverage).toEqual(first.coverage);
});

test("another seed gives another run", async () => {
  const first = await simulate({ ...scale, seed: 4 });
  const second = await simulate({ ...scale, seed: 5 });
  expect(second.traceHash).not.toBe(first.traceHash);
});

test("a run with parts left out is also the same twice", async () => {
  const all = [...planRounds(4, scale)].flatMap(({ items }) => items);
  const dice = newDice("some of them");
  const keep = new Set(all.filter(() => dice.chance(0.5)).map(({ index }) => index));
  const first = await simulate({ ...scale, seed: 4, keep });
  const second = await simulate({ ...scale, seed: 4, keep });
  expect(first.ops).toBeLessThan(scale.ops);
  expect(first.ops).toBeGreaterThan(0);
  expect(second.traceHash).toBe(first.traceHash);
});

test("more nodes and clients than usual, and fewer", async () => {
  for (const [nodes, clients] of [
    [1, 1],
    [8, 40],
  ] as const) {
    const { violations } = await simulate({ ops: 450, nodes, clients, seed: 6 });
    expect(violations).toEqual([]);
  }
});
