import type { Dice } from "../sim/dice.ts";
import type { Findings } from "./findings.ts";
import type { Target, TargetName } from "./target.ts";

/** What an attack is given. */
export interface Arena {
  readonly targets: Readonly<Record<TargetName, Target>>;
  readonly findings: Findings;
  readonly seed: number;
  /** Where files of the attacker's lie. */
  readonly folder: string;
}

export interface Round {
  /** It starts nothing new after it. */
  readonly signal: AbortSignal;
  /** Of its own, drawn from the seed. */
  readonly dice: Dice;
}

/** One way to attack. It closes all that it opened before it resolves, so that what is left is the server's. */
export interface Attack {
  readonly name: string;
  /** Its part of the time. */
  readonly weight: number;
  /** Answers how many requests, connections or the like it made. */
  run(arena: Arena, round: Round): Promise<number>;
}

/** Runs `work` for 0, 1, 2, … with that many at once, until the round is over; answers how many there were. */
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
