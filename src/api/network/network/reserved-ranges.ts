import {
  type AddressRange,
  parseAddressRange,
  rangesOverlap,
} from "../../../util/address-range.ts";
import { contains, formatCidr } from "../../../util/cidr.ts";
import { invalid } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import type { NetworkCidrs } from "./record.ts";

/**
 * The ranges that a request asks for, as the record has them: in the request's order.
 *
 * @throws N0Error `invalid_argument` for a range that is not valid, outside the CIDR of its family, or overlaps
 * another one.
 */
export function checkReservedRanges(texts: readonly string[], cidrs: NetworkCidrs): string[] {
  const ranges: AddressRange[] = [];
  for (const [i, text] of texts.entries()) {
    const field = fieldOf(i);
    const range = parseAddressRange(text);
    if (range === undefined) {
      const examples = "such as 10.0.0.0/28 or 10.0.0.10-10.0.0.20, the lower address first";
      throw invalid(field, `${quote(text)} is not a range of addresses ${examples}`);
    }
    throwIfOutside(field, range, cidrs);
    const other = ranges.findIndex((one) => rangesOverlap(one, range));
    if (other >= 0) {
      throw invalid(field, `${range.text} overlaps ${fieldOf(other)}, ${ranges[other]!.text}`);
    }
    ranges.push(range);
  }
  return ranges.map(({ text }) => text);
}

function fieldOf(index: number): string {
  return `reserved_ranges[${index}]`;
}

function throwIfOutside(field: string, range: AddressRange, cidrs: NetworkCidrs): void {
  const { family, first, last, text } = range;
  const cidr = cidrs[`ipv${family}`];
  if (cidr === undefined) {
    throw invalid(field, `the network has no ipv${family}_cidr for ${text}`);
  }
  if (contains(cidr, first) && contains(cidr, last)) return;
  throw invalid(field, `${text} is not within ipv${family}_cidr, ${formatCidr(cidr)}`);
}
