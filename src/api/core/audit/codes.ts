/** The severity: out of date, an obstacle for later requests, or a danger to something of a user's. */
export type Severity = "notice" | "warning" | "error";

export interface CodeFacts {
  /**
   * Findings with a lower number are shown and repaired first, because they block others. All numbers differ.
   */
  readonly rank: number;
  readonly severity: Severity;
  readonly means: string;
  /** What the repair does. */
  readonly repair?: string;
  /** What a person must do if verify does nothing by itself. */
  readonly byHand?: string;
}

/** Kinds of findings. docs/operating/verify.md must have the same ones. A code never changes its meaning. */
export type Codes = Readonly<Record<string, CodeFacts>>;

/** The codes that several resources share. */
export const sharedCodes = {
  "record.pending_without_transaction": {
    rank: 60,
    severity: "error",
    means: "a record is PENDING, and no open transaction works on it",
    repair: "the record takes the state that its node shows",
    byHand:
      "its node has nothing of it: delete the rest by hand, or restore a backup of the records",
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
