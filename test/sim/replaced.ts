/** Replaces a function of an object, until it is disposed of. */
export function replaced<T extends object, K extends keyof T>(of: T, key: K, by: T[K]): Disposable {
  const own = of[key];
  of[key] = by;
  return { [Symbol.dispose]: () => void (of[key] = own) };
}
