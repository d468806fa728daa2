import type { DomainEvent, DomainInfo, DomainState } from "../domain.ts";

export interface StateReader {
  /** `absent` for what is not ours. */
  readonly observe: (name: string) => Promise<DomainState>;
  readonly list: () => Promise<readonly DomainInfo[]>;
}

export interface StateWatcher {
  /** Something happened to that domain; its state is read and, if it changed, told. */
  touch(name: string): void;
  /** Does `work`; what the domain of that name passes through meanwhile is not told, only where it ends. */
  during<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Somebody has read these states by himself: what is known to be otherwise is looked at again, and told. */
  compare(found: readonly Pick<DomainInfo, "name" | "state">[]): void;
  /** Reads all states; from the second time on, what changed unseen is told. */
  resync(): Promise<void>;
  onEvent(listener: (event: DomainEvent) => void): () => void;
}

/**
 * Turns "something happened" into changes of state. libvirt's events say what happened and not what
 * is, come for domains that are not ours, and are missed while there is no connection; so an event
 * only says when to look.
 */
export function createStateWatcher({ observe, list }: StateReader): StateWatcher {
  const listeners = new Set<(event: DomainEvent) => void>();
  const known = new Map<string, DomainState>();
  /** Names that are being looked at; true if they were touched again meanwhile. */
  const looking = new Map<string, boolean>();
  /** Names that are being worked on: how often, and whether they are to be looked at after it. */
  const working = new Map<string, { count: number; isTouched: boolean }>();
  /** Names of which somebody has read another state than what is known: theirs is told in any case. */
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
      // The connection is lost: what changed is seen by `resync` when there is one again.
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
      // A function of its own, so that one listener given twice is called twice and removed once.
      const entry = (event: DomainEvent) => listener(event);
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
}
