import { N0Error } from "../../../util/errors.ts";
import { refused } from "../volume-errors.ts";

/**
 * Keeps the calls of one driver out of each other's way where they are about two volumes: nothing is
 * removed or resized while another volume is being made from it, and nothing is made from what is being
 * removed. Never waits; whoever comes second is refused.
 */
export interface UseGuard {
  /** @throws N0Error `aborted` while the volume is being changed. */
  use(id: string): Disposable;
  /** @throws N0Error `failed_precondition` while it is used, `aborted` while another call changes it. */
  change(id: string): Disposable;
}

export function newUseGuard(): UseGuard {
  const users = new Map<string, number>();
  const changing = new Set<string>();

  function refuseWhileChanging(id: string): void {
    if (changing.has(id)) {
      throw new N0Error("aborted", `volume "${id}" is being changed; try again`, {
        retryAfterMs: 1000,
      });
    }
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
      if (users.has(id))
        throw refused(`another volume is being made from volume "${id}"; try again`);
      changing.add(id);
      return { [Symbol.dispose]: () => changing.delete(id) };
    },
  };
}
