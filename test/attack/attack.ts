import type { Dice } from "../sim/dice.ts";
import type { Findings } from "./findings.ts";
import type { Target, TargetName } from "./target.ts";

/** The input of an attack. */
export interface Arena {
  readonly targets: Readonly<Record<TargetName, Target>>;
  readonly findings: Findings;
  readonly seed: number;
  /** The folder of the attacker's files. */
  readonly folder: string;
}

export interface Round {
  /** It starts nothing new after that. */
  readonly signal: AbortSignal;
  /** Its own dice, from the seed. */
  readonly dice: Dice;
}

/**
 * One way to attack. It closes everything that it opened before it resolves, so that anything left is the
 * server's.
 */
export interface Attack {
  readonly name: string;
  /** Its part of the time. */
  readonly weight: number;
  /** Returns how many requests, connections or the like it made. */
  run(arena: Arena, round: Round): Promise<number>;
}

/** Runs `work` for 0, 1, 2, …, that many at a time, until the round is over. Returns their number. */
export async function untilOver(
  { signal }: Round,
  width: number,
  work: (index: number) => Promise<void>,
): Promise<number> {
  let count = 0;
  const worker = async () => {
    while (!signal.aborted) await work(count++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return count;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
