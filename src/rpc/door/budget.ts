import { N0Error } from "../../util/errors.ts";

/** Limits how much of something a server holds at once. */
export interface Budget {
  /** @throws N0Error `resource_exhausted` with a retry delay if less than that is left. */
  take(amount: number): void;
  give(amount: number): void;
}

const RETRY_AFTER_MS = 1000;

/** @param what As in "the server holds as many … as it may". */
export function newBudget(max: number, what: string): Budget {
  let held = 0;
  return {
    take: (amount) => {
      if (held + amount > max) {
        throw new N0Error(
          "resource_exhausted",
          `the server holds as many ${what} as it may; try again`,
          { retryAfterMs: RETRY_AFTER_MS },
        );
      }
      held += amount;
    },
    give: (amount) => {
      held -= amount;
    },
  };
}

/** Takes from both, or from neither. */
export function bothBudgets(first: Budget, second: Budget): Budget {
  return {
    take: (amount) => {
      first.take(amount);
      try {
        second.take(amount);
      } catch (error) {
        first.give(amount);
        throw error;
      }
    },
    give: (amount) => {
      first.give(amount);
      second.give(amount);
    },
  };
}

/**
 * A budget for the whole server, of which one connection gets only a part.
 *
 * @returns the budget for one connection.
 */
export function sharedBudget(
  max: number,
  perConnectionMax: number,
  what: string,
): (connection: object) => Budget {
  const whole = newBudget(max, what);
  const parts = new WeakMap<object, Budget>();
  return (connection) => {
    let part = parts.get(connection);
    if (part === undefined) {
      part = bothBudgets(whole, newBudget(perConnectionMax, `${what} of one connection`));
      parts.set(connection, part);
    }
    return part;
  };
}
