import { shareAfter } from "../inventory/amounts.ts";
import type { Candidate } from "./filters.ts";

/** What makes one node better than another. */
export interface Weight {
  readonly name: string;
  /** How much it counts beside the others. */
  readonly factor: number;
  /** From 0, which is best, to 1. */
  of(candidate: Candidate): number;
}

const use: Weight = {
  name: "use",
  factor: 1,
  of: ({ view: { numbers }, askedNumbers }) =>
    shareAfter(numbers.capacity, numbers.used, askedNumbers),
};

export const WEIGHTS: readonly Weight[] = [use];
