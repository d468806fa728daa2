import { ConflictError } from "../../../datastore/datastore.ts";
import { N0Error } from "../../../util/errors.ts";

/** A failed condition means that somebody else made a change, which the next try sees. */
export async function orOvertaken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof ConflictError)) throw cause;
    const message = "a record that this depends on has just changed: try again";
    throw new N0Error("aborted", message, { retryAfterMs: 100, cause });
  }
}
