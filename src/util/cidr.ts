import { isIPv4, isIPv6 } from "node:net";

export type Family = 4 | 6;

/** A block of addresses. All bits of `base` behind the prefix are 0. */
export interface Cidr {
  readonly family: Family;
  readonly base: bigint;
  readonly prefixLength: number;
}

const BITS = { 4: 32, 6: 128 } as const;
/** A smaller network has no room for both a gateway and a guest. */
const PREFIX_LENGTH_MAX = { 4: 30, 6: 126 } as const;

/** @returns undefined if the text is not an address of that family. */
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
 * @returns undefined if the text is not a CIDR of that family.
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
 * Like `parseCidr`, in either family. A single address is a block of one.
 *
 * @returns undefined if the text is neither.
 */
export function parseBlock(text: string): Cidr | undefined {
  const family = text.includes(":") ? 6 : 4;
  return parseCidr(text.includes("/") ? text : `${text}/${BITS[family]}`, family);
}

export function formatCidr({ base, family, prefixLength }: Cidr): string {
  return `${formatAddress(base, family)}/${prefixLength}`;
}

/** Whether the network has room for a gateway and at least one guest. */
export function hasRoom({ family, prefixLength }: Cidr): boolean {
  return prefixLength <= PREFIX_LENGTH_MAX[family];
}

/** The first address after the block. */
function endOf({ base, family, prefixLength }: Cidr): bigint {
  return base + (1n << BigInt(BITS[family] - prefixLength));
}

/** The last address of the block. */
export function lastOf(cidr: Cidr): bigint {
  return endOf(cidr) - 1n;
}

export function contains(cidr: Cidr, address: bigint): boolean {
  return address >= cidr.base && address < endOf(cidr);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.base < endOf(b) && b.base < endOf(a);
}

/** The same addresses in order, without the blocks that lie within another one. All are of one family. */
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

/**
 * The first and last address that a host may have. The address of the network and the broadcast address of IPv4
 * are for no host.
 */
export function hostRange(cidr: Cidr): { readonly first: bigint; readonly last: bigint } {
  return { first: cidr.base + 1n, last: endOf(cidr) - (cidr.family === 4 ? 2n : 1n) };
}

/** Whether a host of the network may have the address. */
export function isHost(cidr: Cidr, address: bigint): boolean {
  const { first, last } = hostRange(cidr);
  return address >= first && address <= last;
}

/**
 * An address, with or without a prefix length, in the form that n0stack writes, so that two texts of one
 * address are equal. Returns any other text unchanged.
 */
export function canonicalAddress(text: string): string {
  // An IPv4 address has only one form.
  const [address = "", ...rest] = text.split("/");
  const parsed = parseAddress(address, 6);
  return parsed === undefined ? text : [formatAddress(parsed, 6), ...rest].join("/");
}
