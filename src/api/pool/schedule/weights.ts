import { shareAfter } from "../inventory/amounts.ts";
import type { NodeView } from "../inventory/inventory.ts";
import type { Asked } from "./filters.ts";

/** A criterion that makes one node better than another. */
export interface Weight {
  readonly name: string;
  /** Its weight among the criteria. */
  readonly factor: number;
  /** From 0, which is best, to 1. */
  of(view: NodeView, asked: Asked): number;
}

const use: Weight = {
  name: "use",
  factor: 1,
  of: ({ numbers }, asked) => shareAfter(numbers, asked.numbers),
};

export const WEIGHTS: readonly Weight[] = [use];
