import { isIPv6 } from "node:net";
import type { Clock } from "../../util/clock.ts";

const TRIES_MAX = 20;
const WINDOW_MS = 60_000;
/** Above it, the oldest are forgotten. It does not delay an attacker with more addresses than that. */
const ADDRESSES_MAX = 4096;

/**
 * Counts the calls of each address without the right token. It does not apply to calls with the right one,
 * because many clients share an address, and one must not lock out the others.
 */
export interface TokenTries {
  /** @returns how long the address must wait if it has failed too often, else 0. */
  failed(address: string): number;
}

export function newTokenTries(clock: Pick<Clock, "monotonicMs">): TokenTries {
  const tries = new Map<string, { count: number; untilMs: number }>();
  return {
    failed: (address) => {
      const key = networkOf(address);
      const nowMs = clock.monotonicMs();
      const known = tries.get(key);
      if (known !== undefined && known.untilMs > nowMs) {
        known.count += 1;
        return known.count > TRIES_MAX ? known.untilMs - nowMs : 0;
      }
      // Inserted again, so that the first key is the oldest.
      tries.delete(key);
      tries.set(key, { count: 1, untilMs: nowMs + WINDOW_MS });
      if (tries.size > ADDRESSES_MAX) tries.delete(tries.keys().next().value ?? "");
      return 0;
    },
  };
}

/** The address itself; for IPv6 its /64, because one host can have all of it. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...after];
  return `${all.slice(0, 4).join(":")}::/64`;
}
