/** The same type without undefined values: `x: string | undefined` becomes `x?: string`. */
export type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The members that are not undefined. Spread it into an object with optional members. */
export function defined<T extends object>(members: T): Defined<T> {
  const kept: { [name: string]: unknown } = {};
  // A loop, because every record and every line of the log comes by here.
  for (const name in members) if (members[name] !== undefined) kept[name] = members[name];
  return kept as Defined<T>;
}

/** Undefined for an empty text: on the wire an empty text means "none". */
export function nonEmpty(text: string): string | undefined {
  return text === "" ? undefined : text;
}
