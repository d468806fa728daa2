/** How bad it is: out of date, in the way of a later request, or something of a user's in danger. */
export type Severity = "notice" | "warning" | "error";

export interface CodeFacts {
  /** What has a lower one is shown and repaired first: what stands in the way of others. No two are equal. */
  readonly rank: number;
  readonly severity: Severity;
  readonly means: string;
  /** What the repair does. */
  readonly repair?: string;
  /** What a person has to do where verify does nothing by itself. */
  readonly byHand?: string;
}

/**
 * Kinds of findings. docs/operating/verify.md is checked against them. A code never changes its meaning.
 */
export type Codes = Readonly<Record<string, CodeFacts>>;

/** Those that several resources have. */
export const sharedCodes = {
  "record.pending_without_transaction": {
    rank: 60,
    severity: "error",
    means: "a record is PENDING, and no open transaction is at work on it",
    repair: "the record takes the state that its node shows",
    byHand:
      "its node has nothing of it: delete what is left by hand, or restore a backup of the records",
  },
  "allocation.without_owner": {
    rank: 180,
    severity: "notice",
    means:
      "records of the capacity of a node, or of the interfaces of a network, that does not exist",
    repair: "removes them",
  },
} as const satisfies Codes;

export type SharedCode = keyof typeof sharedCodes;
