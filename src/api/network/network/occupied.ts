import { type KeyParts, put, putNew, remove, unchanged } from "../../../datastore/collection.ts";
import { type Datastore, merge, type Writes } from "../../../datastore/datastore.ts";
import { Records, type Stored } from "../../../datastore/records.ts";
import { type Cidr, type Family, formatCidr, overlaps, parseCidr } from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import {
  cidrAllocation,
  networkBeside,
  networks,
  type OccupiedCidr,
  occupiedCidrs,
} from "./collection.ts";
import { cidrsOf, type NetworkCidrs } from "./record.ts";

const FAMILIES = [4, 6] as const;
const HEX_DIGITS = { 4: 8, 6: 32 } as const;

/** Sorted like the CIDRs. No two can begin with the same address. */
export function partsOf({ scope }: Pick<Ref, "scope">, cidr: Cidr): KeyParts<string> {
  return [
    ...listOf(scope, cidr.family),
    cidr.base.toString(16).padStart(HEX_DIGITS[cidr.family], "0"),
  ];
}

function listOf(scope: string, family: Family): KeyParts<string> {
  return [scope, String(family)];
}

function cidrOf({ cidr }: OccupiedCidr, family: Family): Cidr {
  return parseCidr(cidr, family)!;
}

/**
 * The writes after which a network has these CIDRs, and no others. Each is put behind its neighbour on the
 * condition that nothing has been put there since: a write there rewrites the neighbour as well. So two
 * networks contend only for the same gap, and can never overlap. See docs/adr/0006.
 *
 * @throws N0Error `invalid_argument` for a CIDR that overlaps another network's.
 */
export async function occupy(
  { records }: { readonly records: Pick<Records, "find" | "list"> },
  network: Ref,
  cidrs: NetworkCidrs,
): Promise<Writes> {
  const writes: Writes[] = [];
  for (const family of FAMILIES) {
    const list = listOf(network.scope, family);
    // Before the list: a write between the two breaks the condition.
    const start = await records.find(cidrAllocation, ...list);
    const all = await records.list(occupiedCidrs, list);
    const own = all.filter(({ value }) => value.network === network.name);
    const others = all.filter(({ value }) => value.network !== network.name);
    const wanted = cidrs[`ipv${family}`];
    const text = wanted === undefined ? undefined : formatCidr(wanted);
    if (own.length === 1 && own[0]!.value.cidr === text) continue;
    if (wanted !== undefined) throwIfOverlapping(network, others, wanted);
    writes.push(...replace(network, own, wanted));
    if (wanted === undefined) continue;
    writes.push(behindNeighbour(network, others, wanted, start?.revision ?? 0));
    writes.push(putOccupied(network, own, wanted));
  }
  return merge(...writes);
}

/** Frees the CIDRs that the network had. The condition: nothing has been put behind them. */
function replace(
  network: Ref,
  own: readonly Stored<OccupiedCidr>[],
  wanted: Cidr | undefined,
): Writes[] {
  const kept = wanted === undefined ? undefined : occupiedCidrs.key(...partsOf(network, wanted));
  return own.map(({ key, revision }) => ({
    deletes: key === kept ? [] : [key],
    conditions: [{ key, revision }],
  }));
}

function putOccupied(network: Ref, own: readonly Stored<OccupiedCidr>[], wanted: Cidr): Writes {
  const parts = partsOf(network, wanted);
  const isOwn = own.some(({ key }) => key === occupiedCidrs.key(...parts));
  const value = { network: network.name, cidr: formatCidr(wanted) };
  return isOwn ? put(occupiedCidrs, parts, value) : putNew(occupiedCidrs, parts, value);
}

/** @param startRevision The revision of the record before the first CIDR. */
function behindNeighbour(
  { scope }: Ref,
  others: readonly Stored<OccupiedCidr>[],
  { base, family }: Cidr,
  startRevision: number,
): Writes {
  const neighbour = others.findLast(({ value }) => cidrOf(value, family).base <= base);
  if (neighbour === undefined) {
    const parts = listOf(scope, family);
    return merge(put(cidrAllocation, parts, {}), unchanged(cidrAllocation, parts, startRevision));
  }
  const { key, revision, value } = neighbour;
  return {
    puts: [{ key, value: occupiedCidrs.encode(value) }],
    conditions: [{ key, revision }],
  };
}

function throwIfOverlapping(
  network: Ref,
  others: readonly Stored<OccupiedCidr>[],
  wanted: Cidr,
): void {
  const { family } = wanted;
  const other = others.find(({ value }) => overlaps(cidrOf(value, family), wanted));
  if (other === undefined) return;
  const { cidr, network: name } = other.value;
  throw new N0Error(
    "invalid_argument",
    `ipv${family}_cidr: ${formatCidr(wanted)} overlaps ${cidr} of network "${name}"`,
    { field: `ipv${family}_cidr`, resource: formatRef(networkBeside(network, name)) },
  );
}

/** Part of the batch that removes the network. */
export function vacate(network: Ref, cidrs: NetworkCidrs): Writes {
  return merge(
    ...Object.values(cidrs).map((cidr: Cidr) => remove(occupiedCidrs, ...partsOf(network, cidr))),
  );
}

/** A version before wrote this in place of all these records. */
const FORMER = ["all"] as const;

/** Makes the records for networks of an older version, which had none. Does so once, in one batch. */
export async function deriveOccupied(datastore: Datastore): Promise<void> {
  const records = new Records(datastore);
  const former = await records.find(cidrAllocation, ...FORMER);
  if (former === undefined) return;
  const present = (await records.list(networks)).flatMap(({ key, value }) =>
    Object.values(cidrsOf(value)).map((cidr: Cidr) =>
      put(occupiedCidrs, partsOf(networks.refOf(key), cidr), {
        network: value.name,
        cidr: formatCidr(cidr),
      }),
    ),
  );
  await datastore.batch(
    merge(
      ...present,
      remove(cidrAllocation, ...FORMER),
      unchanged(cidrAllocation, FORMER, former.revision),
    ),
  );
}
