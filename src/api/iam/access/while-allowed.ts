import type { Grants } from "./grants.ts";

/** Ends what a role allows, such as a stream, when the role is gone. */
export interface Allowed extends Disposable {
  /** Aborts with the reason, soon after the change that takes the right away. */
  readonly ended: AbortSignal;
}

/** @param check Throws if the caller may not do it. Called again after each change of roles. */
export function whileAllowed(grants: Pick<Grants, "onChange">, check: () => void): Allowed {
  const end = new AbortController();
  const stop = grants.onChange(() => {
    try {
      check();
    } catch (reason) {
      end.abort(reason);
    }
  });
  return { ended: end.signal, [Symbol.dispose]: stop };
}
