/** The exit codes of n0cli. */
export const EXIT = {
  done: 0,
  /** Failed: the transaction is unwound or unwinding, or the connection was lost. */
  failed: 1,
  wrongUse: 2,
  /** verify or plan has found something. */
  findings: 3,
  notAllowed: 4,
  notFound: 5,
  conflict: 6,
  noCapacity: 7,
  /** Timed out: the transaction may still be running. */
  timedOut: 8,
  needsOperator: 9,
  /** The user pressed Ctrl-C. */
  interrupted: 130,
} as const;
