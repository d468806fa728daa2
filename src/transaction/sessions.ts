/** The sessions that one of them saw. */
export interface SeenSessions {
  /** Those that have ended and whose transactions and locks are still to be taken over. */
  readonly ended: readonly string[];
  /** Also true for a session that is forgotten, and for undefined: an older version named none. */
  hasEnded(session: string | undefined): boolean;
}

/**
 * A session is an API process that runs. A transaction names the session that has it in hand, and only one
 * whose session has ended is taken over. See docs/adr/0045.
 */
export interface Sessions {
  /** The session of this process. */
  readonly id: string;
  /**
   * Reads which sessions have ended. Read transactions before: a session that begins in between is not in
   * any of them.
   */
  look(): Promise<SeenSessions>;
  /** Forgets sessions that have ended and of which everything is taken over. */
  forget(sessions: readonly string[]): Promise<void>;
}
