interface Identified {
  readonly id: string;
}

/** Merges streams that each have the largest id first. What several of them have comes once. */
export async function* merged<T extends Identified>(
  ...streams: readonly AsyncGenerator<T>[]
): AsyncGenerator<T> {
  try {
    const heads = await Promise.all(streams.map((stream) => stream.next()));
    for (;;) {
      let largest: T | undefined;
      for (const { done, value } of heads) {
        if (done !== true && (largest === undefined || value.id > largest.id)) largest = value;
      }
      if (largest === undefined) return;
      yield largest;
      for (const [index, head] of heads.entries()) {
        if (head.done !== true && head.value.id === largest.id) {
          heads[index] = await streams[index]!.next();
        }
      }
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return(undefined)));
  }
}
