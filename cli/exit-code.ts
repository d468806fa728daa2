/** What the exit code of n0cli says. */
export const EXIT = {
  done: 0,
  /** Failed; what it had begun is undone, or is being undone. Also a lost connection. */
  failed: 1,
  wrongUse: 2,
  /** What was looked for is there: findings, changes. */
  findings: 3,
  notAllowed: 4,
  notFound: 5,
  conflict: 6,
  noCapacity: 7,
  /** Timed out; it may still be running. */
  timedOut: 8,
  needsOperator: 9,
  /** By the user, with Ctrl-C; nothing else. */
  interrupted: 130,
} as const;
