/** The sessions, as one of them saw them. */
export interface SeenSessions {
  /** The sessions that have ended, and whose transactions and keys nobody has taken over yet. */
  readonly ended: readonly string[];
  /** Also true for a forgotten session, and for undefined, because an older version named none. */
  hasEnded(session: string | undefined): boolean;
}

/**
 * A session is a running API process. A transaction names the session that runs it. Recovery takes over
 * only transactions of ended sessions. See docs/adr/0043.
 */
export interface Sessions {
  /** The session of this process. */
  readonly id: string;
  /**
   * Reads which sessions have ended. Read the transactions before that: then none of them can name a
   * session that began in between.
   */
  look(): Promise<SeenSessions>;
  /** Forgets ended sessions after everything of them is taken over. */
  forget(sessions: readonly string[]): Promise<void>;
}
