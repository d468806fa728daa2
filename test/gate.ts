export interface Gate {
  /** Stands still here until the gate is opened. */
  pass(): Promise<void>;
  /** Resolves when somebody stands before it. */
  readonly reached: Promise<void>;
  open(): void;
}

/** Stops something in the middle, to look at what is there then. */
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
