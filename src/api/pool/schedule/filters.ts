import { type Amounts, fitsWithEase, type Numbers, whyNot } from "../inventory/amounts.ts";
import type { NodeView } from "../inventory/inventory.ts";

/** The requested object, as it counts on a node. */
export interface Asked {
  readonly amounts: Amounts;
  readonly numbers: Numbers;
}

/** A rule that excludes nodes. */
export interface Filter {
  /** The text for the excluded nodes, after their number. */
  readonly name: string;
  /** Why it excludes this node, in words; undefined if it does not. */
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

/** In the order in which a message gives the reasons. */
export const FILTERS: readonly Filter[] = [ready, room];
