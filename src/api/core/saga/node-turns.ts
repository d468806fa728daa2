import { Turns } from "../../../transaction/turns.ts";
import type { Clock } from "../../../util/clock.ts";

/** Of one node. libvirt works on five requests of one client at a time; the others queue there, in their order. */
const CALLS_MAX = 8;
/**
 * A call that takes longer gives its turn back. So copies do not keep short work from a node, and the calls to a
 * node that hangs still all reach it, and fail by their own deadlines.
 */
export const HELD_MAX_MS = 2_000;

export interface NodeTurn {
  readonly nodeName: string;
  readonly project: string;
  /** Ends the wait for the turn. */
  readonly signal: AbortSignal;
}

/**
 * Lets a few of the steps' calls to a node run at a time, in rotation between projects: what already waits at the
 * node itself is in the way of everybody. See docs/adr/0051.
 */
export class NodeTurns {
  readonly #clock: Clock;
  /** By node. Only those that have calls. */
  readonly #lines = new Map<string, Turns>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The number of nodes that have calls. */
  get busyNodes(): number {
    return this.#lines.size;
  }

  /** @throws the reason of the signal if it aborts while the call waits; otherwise what the call throws. */
  async run<T>({ nodeName, project, signal }: NodeTurn, call: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const stopWaiting = () => reject(signal.reason);
    signal.addEventListener("abort", stopWaiting, { once: true });
    void this.#inLine(nodeName, project, async () => {
      signal.removeEventListener("abort", stopWaiting);
      if (signal.aborted) return;
      const answer = call();
      resolve(answer);
      await this.#endOf(answer);
    });
    return await promise;
  }

  async #inLine(nodeName: string, project: string, work: () => Promise<void>): Promise<void> {
    const line = this.#lines.get(nodeName) ?? new Turns({ most: () => CALLS_MAX });
    this.#lines.set(nodeName, line);
    await line.run(project, work);
    if (line.isIdle) this.#lines.delete(nodeName);
  }

  /** Resolves when the call has ended, however it ended, or has had its turn for long enough. */
  async #endOf(call: Promise<unknown>): Promise<void> {
    const ended = new AbortController();
    const end = () => ended.abort();
    call.then(end, end);
    await this.#clock.sleep(HELD_MAX_MS, ended.signal).catch(() => undefined);
  }
}
