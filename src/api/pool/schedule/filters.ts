import { type Amounts, fitsWithEase, type Numbers, whyNot } from "../inventory/amounts.ts";
import type { NodeView } from "../inventory/inventory.ts";

/** What is wished for, as it counts on a node. */
export interface Asked {
  readonly amounts: Amounts;
  readonly numbers: Numbers;
}

/** A rule that leaves nodes out. */
export interface Filter {
  /** Said of the nodes that it leaves out, behind how many they are. */
  readonly name: string;
  /** Why it leaves this node out, in words; undefined where it does not. */
  why(view: NodeView, asked: Asked): string | undefined;
}

export const ready: Filter = {
  name: "NOT_READY",
  why: (view) => (view.isReady ? undefined : "NOT_READY"),
};

const room: Filter = {
  name: "without room",
  why: (view, asked) =>
    fitsWithEase(view.numbers, asked.numbers) ? undefined : whyNot(view, asked.amounts),
};

/** In the order in which a node is said why it is left out. */
export const FILTERS: readonly Filter[] = [ready, room];
