/** The same without what is undefined: `x: string | undefined` becomes `x?: string`. */
export type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The members that are not undefined, to be spread into an object whose optional members are exact. */
export function defined<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}

/** Undefined for an empty text, which is how the wire says that there is none. */
export function nonEmpty(text: string): string | undefined {
  return text === "" ? undefined : text;
}
