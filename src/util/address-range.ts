import {
  type Family,
  formatAddress,
  formatCidr,
  lastOf,
  parseAddress,
  parseBlock,
} from "./cidr.ts";

/** Addresses that follow each other. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
  /** As the user wrote it, with its addresses in the form that n0stack writes. */
  readonly text: string;
}

/**
 * Parses `10.0.0.10-10.0.0.20`, `10.0.0.0/28` and `10.0.0.10`. Bits behind a prefix are cut off.
 *
 * @returns undefined if the text is none of these, or ends before it begins.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [from = "", to, ...more] = text.split("-");
  if (to === undefined) return parseBlockAsRange(text);
  const family = from.includes(":") ? 6 : 4;
  const [first, last] = [parseAddress(from, family), parseAddress(to, family)];
  if (first === undefined || last === undefined || first > last || more.length > 0) {
    return undefined;
  }
  const canonical = `${formatAddress(first, family)}-${formatAddress(last, family)}`;
  return { family, first, last, text: canonical };
}

function parseBlockAsRange(text: string): AddressRange | undefined {
  const block = parseBlock(text);
  if (block === undefined) return undefined;
  const { family, base } = block;
  const canonical = text.includes("/") ? formatCidr(block) : formatAddress(base, family);
  return { family, first: base, last: lastOf(block), text: canonical };
}

export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/**
 * The highest address from `from` down to `to` that is free and in none of the ranges. It skips a range as a
 * whole, however large that is.
 *
 * @param ranges Of one family, the highest first, without overlaps.
 */
export function highestOutside(
  from: bigint,
  to: bigint,
  ranges: readonly AddressRange[],
  isFree: (address: bigint) => boolean,
): bigint | undefined {
  let address = from;
  let next = 0;
  while (address >= to) {
    const range = ranges[next];
    if (range !== undefined && address <= range.last) {
      if (address >= range.first) address = range.first - 1n;
      next += 1;
    } else if (isFree(address)) return address;
    else address -= 1n;
  }
  return undefined;
}

/** The range that the address is in. @param ranges The lowest first, without overlaps. */
export function rangeAt(
  ranges: readonly AddressRange[],
  address: bigint,
): AddressRange | undefined {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]!.last < address) low = middle + 1;
    else high = middle;
  }
  const range = ranges[low];
  return range !== undefined && range.first <= address ? range : undefined;
}

/** How many addresses of the range are between these two. */
export function sizeWithin(range: AddressRange, first: bigint, last: bigint): bigint {
  const from = range.first > first ? range.first : first;
  const to = range.last < last ? range.last : last;
  return to < from ? 0n : to - from + 1n;
}
