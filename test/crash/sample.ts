import { crc32 } from "node:zlib";
import type { Case } from "./cases.ts";

/** A repeatable sequence of numbers in [0, 1): mulberry32. */
function seededFractions(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Each name has its own numbers. */
export function drawnBy(name: string, seed: number): () => number {
  return seededFractions(seed + crc32(name));
}

/** The place of a unit depends only on its name: a new unit does not change the order of the others. */
export function inDrawnOrder<T extends { readonly name: string }>(
  units: readonly T[],
  seed: number,
): T[] {
  const weighed = units.map((unit) => ({ unit, weight: drawnBy(unit.name, seed)() }));
  return weighed.sort((a, b) => a.weight - b.weight).map(({ unit }) => unit);
}

function shuffled<T>(items: readonly T[], fraction: () => number): T[] {
  const weighed = items.map((item) => ({ item, weight: fraction() }));
  return weighed.sort((a, b) => a.weight - b.weight).map(({ item }) => item);
}

/** At most `count` cases, of as many kinds of death and points as possible. */
export function stratified(
  cases: readonly Case[],
  count: number,
  fraction: () => number,
): readonly Case[] {
  const strata = new Map<string, Case[]>();
  for (const dying of shuffled(cases, fraction)) {
    const key = `${dying.death} ${dying.earlier.length} ${dying.place.point}`;
    strata.set(key, [...(strata.get(key) ?? []), dying]);
  }
  const firsts = [...strata.values()].flatMap((stratum) => stratum.slice(0, 1));
  return shuffled(firsts, fraction).slice(0, count);
}
