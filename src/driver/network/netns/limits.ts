import type { PortLimitsSurvey } from "../network-survey.ts";
import { isSameLimits, type PortLimits, type PortRate } from "../port-limits.ts";
import { inNamespace, namespaceAt } from "./namespace.ts";
import { nft } from "./nft.ts";
import { deleteChains, hasChain } from "./nft-chains.ts";

const TABLE = "n0stack";
/** By the heads of the names of their chains: the hook where the traffic of a direction passes the tap. */
const DIRECTIONS = {
  ingress: { head: "to_", hook: "egress" },
  egress: { head: "from_", hook: "ingress" },
} as const;
type Direction = keyof typeof DIRECTIONS;
const BOTH = Object.keys(DIRECTIONS) as readonly Direction[];

/**
 * Limits the traffic of the taps of a network, in its namespace. What is over the limit is dropped. The table has a
 * chain for each direction of a tap that has a limit there; others cost nothing. nft does it, because a kernel may
 * lack the parts of tc that limit what comes in.
 *
 * Changes all or nothing. The tap must be in the network.
 */
export function ensureLimits(path: string, tapName: string, limits: PortLimits): void {
  inNamespace(path, () => {
    const all = chainsIn(readTable());
    const there = all.get(tapName);
    if (isWhole(there, limits)) return;
    if (isSameLimits(limits, {}) && all.size === 1) {
      nft(`delete table netdev ${TABLE}\n`);
      return;
    }
    const lines = BOTH.flatMap((direction) => {
      const rate = limits[direction];
      if (rate !== undefined) return chainLines(tapName, direction, rate);
      return there?.has(direction) === true ? [`delete chain ${chainOf(tapName, direction)}`] : [];
    });
    if (lines.length > 0) nft(`add table netdev ${TABLE}\n${lines.join("\n")}\n`);
  });
}

function isWhole(there: TapChains | undefined, limits: PortLimits): boolean {
  const { state, limits: found = {} } = surveyOf(there);
  return state !== "altered" && isSameLimits(found, limits);
}

function chainLines(tapName: string, direction: Direction, rate: PortRate): string[] {
  const chain = chainOf(tapName, direction);
  const { hook } = DIRECTIONS[direction];
  return [
    // The kernel forgets a chain with its device, or keeps it for the next one of that name.
    `add chain ${chain} { type filter hook ${hook} device "${tapName}" priority filter; }`,
    `flush chain ${chain}`,
    `add rule ${chain} limit rate over ${rate.bytesPerSecond} bytes/second burst ${rate.burstBytes} bytes drop`,
  ];
}

function chainOf(tapName: string, direction: Direction): string {
  return `netdev ${TABLE} ${DIRECTIONS[direction].head}${tapName}`;
}

/** Removes the limits of these taps. Asks the kernel once for each direction, and mostly finds nothing. */
export async function removeLimits(path: string, tapNames: readonly string[]): Promise<void> {
  const found: string[] = [];
  for (const tapName of tapNames) {
    for (const { head } of Object.values(DIRECTIONS)) {
      if (await hasChain(path, TABLE, head + tapName)) found.push(head + tapName);
    }
  }
  if (found.length > 0 && namespaceAt(path) === "namespace") await deleteChains(path, TABLE, found);
}

/** The limits of each tap that has some. */
export function surveyLimits(path: string): ReadonlyMap<string, PortLimitsSurvey> {
  const chains = chainsIn(inNamespace(path, readTable));
  return new Map([...chains].map(([tapName, there]) => [tapName, surveyOf(there)]));
}

/** By direction: its rate, or `altered`. */
type TapChains = ReadonlyMap<Direction, PortRate | "altered">;

function surveyOf(chains: TapChains = new Map()): PortLimitsSurvey {
  if (chains.size === 0) return { state: "absent" };
  const limits: { -readonly [D in Direction]?: PortRate } = {};
  for (const [direction, rate] of chains) {
    if (rate === "altered") return { state: "altered" };
    limits[direction] = rate;
  }
  return { state: "whole", limits };
}

function chainsIn(listing: string): ReadonlyMap<string, TapChains> {
  const found = new Map<string, Map<Direction, PortRate | "altered">>();
  for (const [, name = "", body = ""] of listing.matchAll(/^\tchain (\S+) {\n([^]*?)^\t}/gm)) {
    const direction = BOTH.find((one) => name.startsWith(DIRECTIONS[one].head));
    if (direction === undefined) continue;
    const { head, hook } = DIRECTIONS[direction];
    const tapName = name.slice(head.length);
    const chains = found.get(tapName) ?? new Map<Direction, PortRate | "altered">();
    found.set(tapName, chains.set(direction, rateIn(body, tapName, hook) ?? "altered"));
  }
  return found;
}

const UNITS: Readonly<Record<string, number>> = { bytes: 1, kbytes: 1 << 10, mbytes: 1 << 20 };
const RULE = /^limit rate over (\d+) (\w+)\/second burst (\d+) (\w+) drop$/;

/** nft writes numbers in the largest unit that divides them. */
function rateIn(body: string, tapName: string, hook: string): PortRate | undefined {
  const [head, rule = "", ...others] = body.trim().split(/\s*\n\s*/);
  const wanted = `type filter hook ${hook} device "${tapName}" priority filter; policy accept;`;
  const [, rate, rateUnit = "", burst, burstUnit = ""] = RULE.exec(rule) ?? [];
  if (head !== wanted || rate === undefined || others.length > 0) return undefined;
  return {
    bytesPerSecond: Number(rate) * (UNITS[rateUnit] ?? Number.NaN),
    burstBytes: Number(burst) * (UNITS[burstUnit] ?? Number.NaN),
  };
}

/** In the namespace of the thread. */
function readTable(): string {
  try {
    return nft(`list table netdev ${TABLE}`);
  } catch (error) {
    if (error instanceof Error && error.message.includes("No such file or directory")) return "";
    throw error;
  }
}
