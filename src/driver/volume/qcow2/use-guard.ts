import { N0Error } from "../../../util/errors.ts";

/**
 * Separates the calls of one driver that concern two volumes: nothing is removed or resized while another
 * volume is made from it, and nothing is made from a volume that is being removed. Never waits: the second call
 * is refused.
 */
export interface UseGuard {
  /** @throws N0Error `aborted` while another call changes the volume. */
  use(id: string): Disposable;
  /** @throws N0Error `aborted` while another call uses or changes it. */
  change(id: string): Disposable;
}

export function newUseGuard(): UseGuard {
  const users = new Map<string, number>();
  const changing = new Set<string>();

  const busy = (message: string) => new N0Error("aborted", message, { retryAfterMs: 1000 });

  function refuseWhileChanging(id: string): void {
    if (changing.has(id)) throw busy(`volume "${id}" is being changed; try again`);
  }

  return {
    use(id) {
      refuseWhileChanging(id);
      users.set(id, (users.get(id) ?? 0) + 1);
      return {
        [Symbol.dispose]() {
          const left = (users.get(id) ?? 0) - 1;
          if (left > 0) users.set(id, left);
          else users.delete(id);
        },
      };
    },
    change(id) {
      refuseWhileChanging(id);
      if (users.has(id)) {
        throw busy(`another volume is being made from volume "${id}"; try again`);
      }
      changing.add(id);
      return { [Symbol.dispose]: () => changing.delete(id) };
    },
  };
}
