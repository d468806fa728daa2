import { networkOf } from "../../../rpc/door/token-tries.ts";
import type { Clock } from "../../../util/clock.ts";
import { counted } from "../../../util/counted.ts";
import { N0Error } from "../../../util/errors.ts";

const FREE_TRIES_OF_USER = 5;
/** Many people may share an address. */
const FREE_TRIES_OF_ADDRESS = 20;
const WAIT_MS_MIN = 1_000;
/** Anybody can make a user wait that long. */
const WAIT_MS_MAX = 30_000;
const FORGOTTEN_AFTER_MS = 15 * 60_000;
/**
 * Above it, the oldest are forgotten. To make the API forget a user by trying as many others takes longer
 * than the longest wait.
 */
const KEPT_MAX = 4096;

/** A try that has begun. It counts as failed, unless one of these is called. */
export interface Try {
  succeeded(): void;
  /** The password was not looked at. */
  takeBack(): void;
}

/** Counts the tries of passwords, of each user and of each address. Above a number of them one must wait. */
export class PasswordTries {
  readonly #ofUsers: Counts;
  readonly #ofAddresses: Counts;
  /** A user at an address at which he has signed in. There, the tries of others do not make him wait. */
  readonly #known = new Set<string>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#ofUsers = new Counts(clock, FREE_TRIES_OF_USER);
    this.#ofAddresses = new Counts(clock, FREE_TRIES_OF_ADDRESS);
  }

  /**
   * Counts before the password is looked at, because many tries may come at the same time.
   *
   * @throws N0Error `resource_exhausted` that says how long to wait. Such a try does not count.
   */
  begin(user: string, peer: string): Try {
    const address = networkOf(peer);
    const both = `${user} ${address}`;
    const key = this.#known.has(both) ? both : user;
    const waitMs = Math.max(this.#ofUsers.waitMs(key), this.#ofAddresses.waitMs(address));
    if (waitMs > 0) throw mustWait(waitMs);
    const backs = [this.#ofUsers.count(key), this.#ofAddresses.count(address)];
    const takeBack = () => {
      for (const back of backs) back();
    };
    return {
      takeBack,
      succeeded: () => {
        takeBack();
        this.#ofUsers.forget(key);
        keep(this.#known, both);
      },
    };
  }
}

function mustWait(waitMs: number): N0Error {
  const time = counted(Math.ceil(waitMs / 1000), "second");
  const message = `too many wrong passwords of this user, or from your address: try again in ${time}`;
  return new N0Error("resource_exhausted", message, { retryAfterMs: Math.ceil(waitMs) });
}

interface Count {
  tries: number;
  lastMs: number;
  untilMs: number;
}

class Counts {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #free: number;
  readonly #counts = new Map<string, Count>();

  constructor(clock: Pick<Clock, "monotonicMs">, free: number) {
    this.#clock = clock;
    this.#free = free;
  }

  waitMs(key: string): number {
    return Math.max(0, (this.#counts.get(key)?.untilMs ?? 0) - this.#clock.monotonicMs());
  }

  /** @returns what undoes it. */
  count(key: string): () => void {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#counts.get(key);
    const isOld = known === undefined || nowMs - known.lastMs > FORGOTTEN_AFTER_MS;
    const count = isOld ? { tries: 0, lastMs: 0, untilMs: 0 } : known;
    count.tries += 1;
    count.lastMs = nowMs;
    const over = count.tries - this.#free;
    const untilMs = over < 0 ? 0 : nowMs + Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** over);
    count.untilMs = untilMs;
    // Inserted again, so that the first one is the oldest.
    this.#counts.delete(key);
    this.#counts.set(key, count);
    if (this.#counts.size > KEPT_MAX) this.#counts.delete(this.#counts.keys().next().value ?? "");
    return () => {
      count.tries -= 1;
      if (count.untilMs === untilMs) count.untilMs = 0;
    };
  }

  forget(key: string): void {
    this.#counts.delete(key);
  }
}

function keep(known: Set<string>, key: string): void {
  known.delete(key);
  known.add(key);
  if (known.size > KEPT_MAX) known.delete(known.keys().next().value ?? "");
}
