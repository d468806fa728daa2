import { FAULT_POINTS } from "../../src/transaction/faults.ts";
import type { Death } from "./api.ts";
import { CALLS } from "./calls.ts";
import type { DiskTrouble } from "./datastore.ts";
import { type Dice, newDice } from "./dice.ts";
import type { DriverFate } from "./drivers.ts";
import type { CallFate } from "./network.ts";
import { PROJECTS } from "./projects.ts";

export type Fault =
  | {
      readonly kind: "api-dies";
      readonly death: Death;
      readonly downMs: number;
      /** How the next incarnation dies, while it recovers or soon after. */
      readonly again: Death | undefined;
    }
  | { readonly kind: "api-stops"; readonly downMs: number }
  | { readonly kind: "api-freezes"; readonly forMs: number }
  | { readonly kind: "disk"; readonly trouble: DiskTrouble; readonly forMs: number }
  | { readonly kind: "agent-dies"; readonly node: number; readonly downMs: number }
  | { readonly kind: "agent-stops"; readonly node: number; readonly downMs: number }
  /** The node is lost with everything on it, and an operator declares that. */
  | { readonly kind: "node-is-lost"; readonly node: number }
  | { readonly kind: "clock-jumps"; readonly byMs: number }
  | { readonly kind: "agent-freezes"; readonly node: number; readonly forMs: number }
  | { readonly kind: "cut"; readonly node: number; readonly forMs: number }
  | { readonly kind: "calls-to-api"; readonly fates: readonly CallFate[] }
  | { readonly kind: "calls-to-node"; readonly node: number; readonly fates: readonly CallFate[] }
  | { readonly kind: "drivers"; readonly node: number; readonly fates: readonly DriverFate[] }
  /** The next changed thing there cannot be changed again, so that its transaction needs an operator. */
  | { readonly kind: "sticks"; readonly node: number }
  | { readonly kind: "guest"; readonly seed: number; readonly does: "powers off" | "crashes" };

interface Planned {
  /** Its number in the whole run, by which it can be left out. */
  readonly index: number;
  /** The time after the beginning of its round. */
  readonly atMs: number;
}

export interface PlannedCall extends Planned {
  readonly rpc: string;
  readonly client: number;
  readonly seed: number;
  readonly project: string;
  readonly timeoutMs: number;
  readonly cancelAfterMs: number | undefined;
  /** With an idempotency key: sent again until it is answered. */
  readonly isKeyed: boolean;
}

export interface PlannedFault extends Planned {
  readonly fault: Fault;
}

export type Item = PlannedCall | PlannedFault;

export interface Round {
  readonly lengthMs: number;
  readonly items: readonly Item[];
  /** A node that stays away while the rest comes to rest, and then comes back. */
  readonly away: number | undefined;
}

export interface Scale {
  readonly ops: number;
  readonly nodes: number;
  readonly clients: number;
  /** An RPC that is called more often than usual. */
  readonly favours?: string;
}

const FAVOUR = 8;

/** The number of calls in one round. */
const ROUND_CALLS = 150;
const WEIGHTS = Object.fromEntries(Object.entries(CALLS).map(([rpc, { weight }]) => [rpc, weight]));

/** Everything that is done to the control plane, from the seed alone. */
export function* planRounds(seed: number, scale: Scale): Generator<Round> {
  const { ops, nodes, clients, favours = "" } = scale;
  const usual = WEIGHTS[favours];
  const weights = usual === undefined ? WEIGHTS : { ...WEIGHTS, [favours]: usual * FAVOUR };
  let index = 0;
  for (let number = 0, left = ops; left > 0; number++, left -= ROUND_CALLS) {
    const dice = newDice(`round ${number} of ${seed}`);
    const lengthMs = dice.pick([1_000, 3_000, 10_000, 30_000]);
    // Requests that come together collide; requests that come alone are tested alone.
    const burstsMs = Array.from({ length: 12 }, () => dice.between(0, lengthMs));
    const soonAfter = () => Math.min(lengthMs, dice.pick(burstsMs) + dice.between(0, 60));
    const items: Item[] = [];
    for (let i = 0; i < Math.min(left, ROUND_CALLS); i++) {
      const atMs = dice.chance(0.8) ? soonAfter() : dice.between(0, lengthMs);
      items.push({ index: index++, atMs, ...planCall(dice, clients, weights) });
    }
    // The first one builds something up.
    const faults = number === 0 ? 0 : dice.below(14);
    for (let i = 0; i < faults; i++) {
      items.push({ index: index++, atMs: soonAfter(), fault: planFault(dice, nodes, lengthMs) });
    }
    items.sort((a, b) => a.atMs - b.atMs || a.index - b.index);
    const away = number > 0 && dice.chance(0.08) ? dice.below(nodes) : undefined;
    yield { lengthMs, items, away };
  }
}

function planCall(dice: Dice, clients: number, weights: typeof WEIGHTS) {
  const seedOfCall = () => {
    const seed = dice.below(2 ** 31);
    return { seed, project: PROJECTS[seed % PROJECTS.length]! };
  };
  return {
    rpc: dice.weighted(weights),
    client: dice.below(clients),
    ...seedOfCall(),
    timeoutMs: dice.pick([2_000, 30_000, 60_000, 120_000]),
    cancelAfterMs: dice.chance(0.05) ? dice.between(0, 200) : undefined,
    isKeyed: dice.chance(0.5),
  };
}

const FAULTS = {
  "api-dies": 20,
  "api-stops": 0.7,
  "api-freezes": 0.7,
  disk: 2,
  "agent-dies": 4,
  "agent-stops": 1,
  "node-is-lost": 0.5,
  "clock-jumps": 0.5,
  "agent-freezes": 2,
  cut: 2,
  "calls-to-api": 4,
  "calls-to-node": 6,
  drivers: 8,
  sticks: 6,
  guest: 5,
} as const satisfies Readonly<Record<Fault["kind"], number>>;

function planFault(dice: Dice, nodes: number, lengthMs: number): Fault {
  const kind = dice.weighted(FAULTS);
  const node = dice.below(nodes);
  const forMs = dice.chance(0.7) ? dice.between(20, lengthMs / 5) : dice.between(5_000, 40_000);
  const longMs = dice.chance(0.2) ? 20_000 : Math.max(500, lengthMs / 4);
  const downMs = dice.chance(0.8) ? dice.between(1, 200) : dice.between(200, longMs);
  switch (kind) {
    case "api-dies":
      return {
        kind,
        death: planDeath(dice),
        downMs,
        again: dice.chance(0.25) ? planDeath(dice) : undefined,
      };
    case "api-stops":
      return { kind, downMs };
    case "api-freezes":
      return { kind, forMs };
    case "disk":
      return { kind, trouble: dice.pick(["busy", "full", "slow"]), forMs };
    case "node-is-lost":
      return { kind, node };
    case "clock-jumps":
      return { kind, byMs: Math.round(dice.between(-600_000, 600_000)) };
    case "agent-dies":
    case "agent-stops":
      return { kind, node, downMs };
    case "agent-freezes":
    case "cut":
      return { kind, node, forMs };
    case "calls-to-api":
      return { kind, fates: several(dice, 4, CALL_FATES) };
    case "calls-to-node":
      return { kind, node, fates: several(dice, 4, CALL_FATES) };
    case "sticks":
      return { kind, node };
    case "drivers":
      return { kind, node, fates: several(dice, 3, DRIVER_FATES) };
    default:
      return { kind, seed: dice.below(2 ** 31), does: dice.pick(["powers off", "crashes"]) };
  }
}

const CALL_FATES: readonly CallFate[] = [
  "lose-request",
  "lose-answer",
  "duplicate",
  "late-request",
  "late-answer",
];
const DRIVER_FATES: readonly DriverFate[] = [
  "fails",
  "fails-late",
  "unavailable",
  "disk-full",
  "slow",
];

function several<T>(dice: Dice, max: number, from: readonly T[]): T[] {
  return Array.from({ length: 1 + dice.below(max) }, () => dice.pick(from));
}

function planDeath(dice: Dice): Death {
  if (dice.chance(0.2)) return { kind: "now" };
  if (dice.chance(0.5)) return { kind: "port", calls: 1 + dice.below(60) };
  return { kind: "point", point: dice.pick(FAULT_POINTS), times: 1 + dice.below(6) };
}
