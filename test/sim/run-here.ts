import { expect } from "vitest";
import { simulate } from "./simulation.ts";

const scale = { ops: 10_000, nodes: 3, clients: 8 };

/** Half of the requests that a run of all tests simulates. The other half runs beside it. */
export async function expectAllWell(
  seed: number,
  { deliversLate = false }: { readonly deliversLate?: boolean } = {},
): Promise<void> {
  console.log(`simulating with seed ${seed}`);
  const { violations, ops, coverage } = await simulate({ ...scale, seed, deliversLate });
  const late = deliversLate ? " --late" : "";
  const command = `npm run sim -- --seed ${seed} --ops ${scale.ops}${late}`;
  expect(violations, `shrink it with: ${command}`).toEqual([]);
  expect(ops).toBe(scale.ops);
  // A run that does nothing finds nothing.
  expect(coverage.crashes).toBeGreaterThan(50);
  expect(coverage.recovered).toBeGreaterThan(50);
  expect(sum(coverage.committed)).toBeGreaterThan(1_000);
  expect(sum(coverage.unwound)).toBeGreaterThan(1_000);
  expect(sum(coverage.neededOperator)).toBeGreaterThan(5);
  expect(coverage.faults.size).toBeGreaterThan(15);
  for (const kind of ["image", "network"]) {
    expect(coverage.shared.get(kind), kind).toBeGreaterThan(2);
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  return counts.values().reduce((total, times) => total + times, 0);
}
