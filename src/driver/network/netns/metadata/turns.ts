/** Of one caller. Boots of cloud-init ask up to 60 times, one after the other. */
const RATE = { perSecond: 20, burst: 100 } as const;
const CONNECTIONS_MAX = 8;
/** Of the whole network: what its callers may cost together. */
const RATE_OF_ALL = { perSecond: 100, burst: 1_000 } as const;
const CONNECTIONS_OF_ALL_MAX = 256;
/** More callers than this are rare, and those that rest are forgotten then. */
const REMEMBERED_MAX = 1_024;

interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Grows by a rate, up to a burst; each turn takes one. */
class Bucket {
  #left: number;
  #atMs: number;
  readonly #rate: Rate;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#atMs = nowMs;
  }

  isFull(nowMs: number): boolean {
    return this.#grown(nowMs) === this.#rate.burst;
  }

  take(nowMs: number): boolean {
    const grown = this.#grown(nowMs);
    if (grown < 1) return false;
    this.#left = grown - 1;
    this.#atMs = nowMs;
    return true;
  }

  #grown(nowMs: number): number {
    const { perSecond, burst } = this.#rate;
    return Math.min(burst, this.#left + ((nowMs - this.#atMs) / 1_000) * perSecond);
  }
}

/** Counts the connections and requests of a network, so that none of its guests takes more than its share. */
export class Turns {
  readonly #now: () => number;
  readonly #connections = new Map<string, number>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket;
  #open = 0;

  /** @param now In milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#all = new Bucket(RATE_OF_ALL, now());
  }

  /** Whether the caller may have one more connection. If so, `leave` must follow. */
  enter(address: string): boolean {
    const count = this.#connections.get(address) ?? 0;
    if (count >= CONNECTIONS_MAX || this.#open >= CONNECTIONS_OF_ALL_MAX) return false;
    this.#connections.set(address, count + 1);
    this.#open++;
    return true;
  }

  leave(address: string): void {
    const count = this.#connections.get(address) ?? 0;
    if (count <= 1) this.#connections.delete(address);
    else this.#connections.set(address, count - 1);
    this.#open--;
  }

  /** Whether the caller may ask now. */
  mayAsk(address: string): boolean {
    const now = this.#now();
    let own = this.#buckets.get(address);
    if (own === undefined) {
      if (this.#buckets.size >= REMEMBERED_MAX) this.#forget(now);
      own = new Bucket(RATE, now);
      this.#buckets.set(address, own);
    }
    // Its own comes first: what it is refused takes nothing from the others.
    return own.take(now) && this.#all.take(now);
  }

  #forget(nowMs: number): void {
    for (const [address, bucket] of this.#buckets) {
      if (bucket.isFull(nowMs)) this.#buckets.delete(address);
    }
  }
}
