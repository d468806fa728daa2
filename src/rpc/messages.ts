/**
 * The same stream, but passes each failure to `onFailure`, whose error replaces it. `return` reaches the
 * source, so that a client that hangs up ends the handler.
 */
export async function* guardMessages<T>(
  messages: AsyncIterable<T>,
  onFailure: (reason: unknown) => never,
): AsyncGenerator<T, void> {
  try {
    yield* messages;
  } catch (reason) {
    onFailure(reason);
  }
}
