import { type Amounts, type Numbers, whyNot } from "../inventory/amounts.ts";
import type { NodeView } from "../inventory/inventory.ts";

/** A node that may be chosen. */
export interface Candidate {
  readonly view: NodeView;
  /** What is wished for, as it counts on that node. */
  readonly asked: Amounts;
  readonly askedNumbers: Numbers;
}

/** A rule that leaves nodes out. */
export interface Filter {
  /** Said of the nodes that it leaves out, behind how many they are. */
  readonly name: string;
  /** Why it leaves this node out, in words; undefined where it does not. */
  why(candidate: Candidate): string | undefined;
}

export const ready: Filter = {
  name: "NOT_READY",
  why: ({ view }) => (view.isReady ? undefined : "NOT_READY"),
};

const room: Filter = {
  name: "without room",
  why: ({ view, asked }) => whyNot(view, asked),
};

/** In the order in which a node is said why it is left out. */
export const FILTERS: readonly Filter[] = [ready, room];
