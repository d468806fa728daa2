import type { DomainEvent, DomainInfo, DomainState } from "../domain.ts";

export interface StateReader {
  /** `absent` for a domain that is not ours. */
  readonly observe: (name: string) => Promise<DomainState>;
  readonly list: () => Promise<readonly DomainInfo[]>;
}

export interface StateWatcher {
  /** Something happened to that domain: reads its state, and reports it if it changed. */
  touch(name: string): void;
  /** Does `work`. Reports only the last state of that domain, not the states during the work. */
  during<T>(name: string, work: () => Promise<T>): Promise<T>;
  /**
   * The caller has read these states itself. Reads each one that differs from the known state again, and
   * reports it.
   */
  compare(found: readonly Pick<DomainInfo, "name" | "state">[]): void;
  /** Reads all states. From the second call on, reports the changes that were missed. */
  resync(): Promise<void>;
  onEvent(listener: (event: DomainEvent) => void): () => void;
}

/**
 * Turns "something happened" into changes of state. An event of libvirt says what happened and not the state,
 * comes also for domains that are not ours, and is missed while there is no connection. So an event only says
 * when to look.
 */
export function createStateWatcher({ observe, list }: StateReader): StateWatcher {
  const listeners = new Set<(event: DomainEvent) => void>();
  const known = new Map<string, DomainState>();
  /** The names that are being looked at; true if an event came in the meantime. */
  const looking = new Map<string, boolean>();
  /** The names with work in progress: how much of it, and whether to look at the domain afterwards. */
  const working = new Map<string, { count: number; isTouched: boolean }>();
  /**
   * The names for which a caller has read another state than the known one. The next state is reported in any
   * case.
   */
  const doubted = new Set<string>();
  let isFirstSync = true;

  function learn(name: string, state: DomainState, isTold: boolean): void {
    const isDoubted = isTold && doubted.delete(name);
    if ((known.get(name) ?? "absent") === state && !isDoubted) return;
    if (state === "absent") known.delete(name);
    else known.set(name, state);
    if (!isTold) return;
    for (const listener of [...listeners]) listener({ name, state });
  }

  async function look(name: string): Promise<void> {
    try {
      do {
        looking.set(name, false);
        const state = await observe(name);
        if (isLeftForLater(name)) return;
        learn(name, state, true);
      } while (looking.get(name) === true);
    } finally {
      looking.delete(name);
    }
  }

  function isLeftForLater(name: string): boolean {
    const work = working.get(name);
    if (work !== undefined) work.isTouched = true;
    return work !== undefined;
  }

  function touch(name: string): void {
    if (isLeftForLater(name)) return;
    if (looking.has(name)) {
      looking.set(name, true);
      return;
    }
    look(name).catch(() => {
      // The connection is lost: `resync` finds the changes when it is back.
    });
  }

  return {
    touch,
    async during(name, work) {
      const mine = working.get(name) ?? { count: 0, isTouched: false };
      working.set(name, mine);
      mine.count += 1;
      try {
        return await work();
      } finally {
        mine.count -= 1;
        if (mine.count === 0) {
          working.delete(name);
          if (mine.isTouched) touch(name);
        }
      }
    },
    compare(found) {
      const states = new Map(found.map(({ name, state }) => [name, state]));
      for (const name of new Set([...known.keys(), ...states.keys()])) {
        if ((known.get(name) ?? "absent") === (states.get(name) ?? "absent")) continue;
        doubted.add(name);
        touch(name);
      }
    },
    async resync() {
      const found = await list();
      const isTold = !isFirstSync;
      isFirstSync = false;
      const names = new Set(found.map(({ name }) => name));
      for (const name of [...known.keys()]) if (!names.has(name)) learn(name, "absent", isTold);
      for (const { name, state } of found) learn(name, state, isTold);
    },
    onEvent(listener) {
      // A function of its own, so that a listener that is added twice is called twice and removed once.
      const entry = (event: DomainEvent) => listener(event);
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
}
