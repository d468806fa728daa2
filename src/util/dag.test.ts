import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import type { Dag } from "./dag.ts";
import { findCycle, findMissing, newFrontier } from "./dag.ts";

/** Any graph over n0..n11, cycles, repeats and self-dependencies included. */
const anyGraph: fc.Arbitrary<Dag> = fc
  .array(fc.array(fc.nat(11), { maxLength: 5 }), { minLength: 1, maxLength: 12 })
  .map((rows) => {
    const name = (i: number) => `n${i % rows.length}`;
    return new Map(rows.map((row, i) => [`n${i}`, row.map(name)]));
  });

/** Dependencies only on earlier nodes: never a cycle. The order of the nodes is shuffled. */
const acyclicGraph: fc.Arbitrary<Dag> = fc
  .array(fc.array(fc.nat(1000), { maxLength: 5 }), { minLength: 1, maxLength: 30 })
  .chain((rows) => {
    const entries = rows.map((row, i): [string, string[]] => [
      `n${i}`,
      i === 0 ? [] : row.map((d) => `n${d % i}`),
    ]);
    return fc.shuffledSubarray(entries, { minLength: entries.length });
  })
  .map((entries) => new Map(entries));

/** Runs the whole graph, taking any ready node next. */
function order(dag: Dag, choose: (count: number) => number): string[] {
  const frontier = newFrontier(dag);
  const ready = [...frontier.first];
  const done: string[] = [];
  while (ready.length > 0) {
    const [node = ""] = ready.splice(choose(ready.length), 1);
    done.push(node);
    ready.push(...frontier.done(node));
  }
  return done;
}

test("every node of an acyclic graph runs once, after all that it depends on", () => {
  fc.assert(
    fc.property(acyclicGraph, fc.nat(), (dag, seed) => {
      const done = order(dag, (count) => seed % count);
      expect([...done].sort()).toEqual([...dag.keys()].sort());
      const position = new Map(done.map((node, i) => [node, i]));
      for (const [node, dependencies] of dag) {
        for (const d of dependencies) {
          expect(position.get(d) ?? Infinity).toBeLessThan(position.get(node) ?? -1);
        }
      }
    }),
  );
});

test("an acyclic graph has no cycle", () => {
  fc.assert(fc.property(acyclicGraph, (dag) => findCycle(dag) === undefined));
});

test("a cycle is found exactly where not every node can run, and it is one", () => {
  fc.assert(
    fc.property(anyGraph, (dag) => {
      const cycle = findCycle(dag);
      expect(order(dag, () => 0).length === dag.size).toBe(cycle === undefined);
      if (cycle === undefined) return;
      expect(new Set(cycle).size).toBe(cycle.length);
      cycle.forEach((node, i) => {
        expect(dag.get(node)).toContain(cycle[(i + 1) % cycle.length]);
      });
    }),
  );
});

test("a chain of a hundred thousand is no problem", () => {
  const size = 100_000;
  const dag = new Map(
    Array.from({ length: size }, (_, i) => [`n${i}`, i + 1 < size ? [`n${i + 1}`] : []]),
  );
  expect(findCycle(dag)).toBeUndefined();
  expect(order(dag, () => 0)).toHaveLength(size);
});

test("a dependency that is not there is named once, with who wants it", () => {
  const dag = new Map([
    ["a", ["b", "gone", "gone"]],
    ["b", []],
  ]);
  expect(findMissing(dag)).toEqual([{ node: "a", dependency: "gone" }]);
  expect(findCycle(dag)).toBeUndefined();
});

test("a node that is done twice frees its dependants once", () => {
  const frontier = newFrontier(
    new Map([
      ["a", []],
      ["b", ["a", "a"]],
    ]),
  );
  expect(frontier.first).toEqual(["a"]);
  expect(frontier.done("a")).toEqual(["b"]);
  expect(frontier.done("a")).toEqual([]);
});
