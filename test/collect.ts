/** All messages of a stream, once it has ended. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}

/** Reads a stream one message at a time. */
export function reader<T>(stream: AsyncIterable<T>) {
  const iterator = stream[Symbol.asyncIterator]();
  const next = async (): Promise<T> => {
    const { done, value } = await iterator.next();
    if (done === true) throw new Error("the stream has ended");
    return value;
  };
  return {
    next,
    /**
     * Skips to the first message for which `holds` is true: an object is sent in its present state, so states
     * can be left out.
     */
    async find(holds: (message: T) => boolean): Promise<T> {
      for (;;) {
        const message = await next();
        if (holds(message)) return message;
      }
    },
    ended: async () => (await iterator.next()).done === true,
  };
}
