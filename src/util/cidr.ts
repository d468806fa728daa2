import { isIPv4, isIPv6 } from "node:net";

export type Family = 4 | 6;

/** A block of addresses. `base` has no bits set behind the prefix. */
export interface Cidr {
  readonly family: Family;
  readonly base: bigint;
  readonly prefixLength: number;
}

const BITS = { 4: 32, 6: 128 } as const;
/** A smaller network has no room for a gateway and a guest. */
const PREFIX_LENGTH_MAX = { 4: 30, 6: 126 } as const;

/** @returns undefined for what is no address of that family. */
export function parseAddress(text: string, family: Family): bigint | undefined {
  if (family === 4) {
    if (!isIPv4(text)) return undefined;
    return text.split(".").reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  }
  if (!isIPv6(text) || text.includes("%")) return undefined;
  return parseIpv6(text);
}

function parseIpv6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const low = parseAddress(dotted[2]!, 4)!;
    const groups = `${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
    return parseIpv6(dotted[1]! + groups);
  }
  const [head = "", tail] = text.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const middle = Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...middle, ...right].reduce(
    (sum, group) => (sum << 16n) | BigInt(`0x${group}`),
    0n,
  );
}

/** Canonical text; IPv6 as RFC 5952 writes it. */
export function formatAddress(address: bigint, family: Family): string {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 0xffn).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, i) => (address >> BigInt(112 - 16 * i)) & 0xffffn);
  const { start, length } = longestZeroRun(groups);
  const text = (part: readonly bigint[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function longestZeroRun(groups: readonly bigint[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (i < groups.length && groups[i] === 0n) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}

/**
 * Parses `10.0.0.0/24`. Bits behind the prefix are cut off.
 *
 * @returns undefined for what is no CIDR of that family.
 */
export function parseCidr(text: string, family: Family): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const address = parseAddress(match[1]!, family);
  const prefixLength = Number(match[2]);
  if (address === undefined || prefixLength > BITS[family]) return undefined;
  const shift = BigInt(BITS[family] - prefixLength);
  return { family, base: (address >> shift) << shift, prefixLength };
}

/**
 * As `parseCidr`, in either family, and an address alone as a block of one.
 *
 * @returns undefined for what is neither.
 */
export function parseBlock(text: string): Cidr | undefined {
  const family = text.includes(":") ? 6 : 4;
  return parseCidr(text.includes("/") ? text : `${text}/${BITS[family]}`, family);
}

export function formatCidr({ base, family, prefixLength }: Cidr): string {
  return `${formatAddress(base, family)}/${prefixLength}`;
}

/** Whether it has room for a gateway and at least one guest. */
export function hasRoom({ family, prefixLength }: Cidr): boolean {
  return prefixLength <= PREFIX_LENGTH_MAX[family];
}

/** The address behind the last one. */
function endOf({ base, family, prefixLength }: Cidr): bigint {
  return base + (1n << BigInt(BITS[family] - prefixLength));
}

export function contains(cidr: Cidr, address: bigint): boolean {
  return address >= cidr.base && address < endOf(cidr);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.base < endOf(b) && b.base < endOf(a);
}

/** The same addresses in order, without what lies in another of them. All are of one family. */
export function disjoint(cidrs: readonly Cidr[]): readonly Cidr[] {
  const sorted = [...cidrs].sort(
    (a, b) => Number(a.base - b.base) || a.prefixLength - b.prefixLength,
  );
  const kept: Cidr[] = [];
  for (const cidr of sorted) {
    const last = kept.at(-1);
    if (last === undefined || !overlaps(last, cidr)) kept.push(cidr);
  }
  return kept;
}

/** First and last address that a host may have: not the network's own, and not IPv4's broadcast. */
export function hostRange(cidr: Cidr): { readonly first: bigint; readonly last: bigint } {
  return { first: cidr.base + 1n, last: endOf(cidr) - (cidr.family === 4 ? 2n : 1n) };
}

/** Whether the address is one that a host of the network may have. */
export function isHost(cidr: Cidr, address: bigint): boolean {
  const { first, last } = hostRange(cidr);
  return address >= first && address <= last;
}

/**
 * An address, with or without a prefix length, as this product writes it, so that two texts of one address
 * are equal; what is no address is returned as it is.
 */
export function canonicalAddress(text: string): string {
  const [address = "", ...rest] = text.split("/");
  for (const family of [4, 6] as const) {
    const parsed = parseAddress(address, family);
    if (parsed !== undefined) return [formatAddress(parsed, family), ...rest].join("/");
  }
  return text;
}
