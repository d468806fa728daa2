import { unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Writes } from "../../../datastore/datastore.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import {
  type AddressRange,
  parseAddressRange,
  rangesOverlap,
} from "../../../util/address-range.ts";
import { contains, formatCidr } from "../../../util/cidr.ts";
import { invalid, N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Answered, AnsweringTx } from "../../core/saga/tx.ts";
import type { Api } from "../context.ts";
import { isReserved } from "../interface/allowed-addresses.ts";
import {
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
} from "../interface/collection.ts";
import { type NetworkCidrs, withInterfaces } from "./record.ts";

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

const CONFLICTS_MAX = 64;

/**
 * Commits other reserved ranges of a network, on the condition that nobody has begun to share an address that they
 * leave out.
 *
 * @param record The write of `network` itself.
 * @throws N0Error `failed_precondition` for ranges without an address that nics share.
 */
export async function commitRanges(
  tx: AnsweringTx<Api>,
  ref: Ref,
  network: Network,
  record: Writes,
): Promise<Answered<Network>> {
  const { api } = tx.context;
  for (let conflicts = 0; ; conflicts++) {
    const guard = await api.records.find(interfaceAllocations, ref);
    const reserved = await api.records.list(interfaces, [ref]);
    const all = reserved.map(({ value }) => value);
    throwIfRangesNeeded(ref, network, all);
    try {
      const unshared = unchanged(interfaceAllocations, [ref], guard?.revision ?? 0);
      return await tx.answer(withInterfaces(network, all), record, unshared);
    } catch (reason) {
      if (!(reason instanceof ConflictError) || conflicts >= CONFLICTS_MAX) throw reason;
    }
  }
}

/** @throws N0Error `failed_precondition` for ranges without an address that nics share. */
export function throwIfRangesNeeded(
  ref: Ref,
  { reservedRanges }: Network,
  all: readonly InterfaceReservation[],
): void {
  const shared = all.flatMap(({ allowedAddresses = [] }) => allowedAddresses);
  const needed = shared.find((address) => !isReserved(reservedRanges, address));
  if (needed === undefined) return;
  throw new N0Error(
    "failed_precondition",
    `reserved_ranges: ${needed} must stay in one, because nics share it as an allowed address: take it from them first`,
    { field: "reserved_ranges", resource: formatRef(ref) },
  );
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
