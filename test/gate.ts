export interface Gate {
  /** Waits here until the gate is opened. */
  pass(): Promise<void>;
  /** Resolves when a caller waits at the gate. */
  readonly reached: Promise<void>;
  open(): void;
}

/** Stops something half-way, so that a test can look at that state. */
export function newGate(): Gate {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    async pass() {
      reached.resolve();
      await opened.promise;
    },
    reached: reached.promise,
    open: () => opened.resolve(),
  };
}
