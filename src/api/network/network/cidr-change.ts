import { objectKey } from "../../../datastore/key.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { type Family, formatAddress, isHost, parseAddress } from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Api, Tx } from "../context.ts";
import { type InterfaceReservation, interfaces, spokenAddresses } from "../interface/collection.ts";
import { type Guest, guestOf, guestsOf } from "../interface/guests.ts";
import { cidrsOf, gatewayAddresses, partsOnNode } from "./record.ts";

const FAMILIES = [4, 6] as const;

type Cidrs = Pick<Network, "ipv4Cidr" | "ipv6Cidr">;

export function hasSameCidrs(before: Cidrs, after: Cidrs): boolean {
  return before.ipv4Cidr === after.ipv4Cidr && before.ipv6Cidr === after.ipv6Cidr;
}

/** Whether its nodes need not know of the change. */
export function isSameOnNodes(before: Network, after: Network): boolean {
  const textOf = (network: Network) => JSON.stringify(partsOnNode(network).services);
  const hasSameNat = before.natOff === after.natOff;
  return hasSameCidrs(before, after) && hasSameNat && textOf(before) === textOf(after);
}

/** The keys of the objects whose guests are on the network. */
export async function guestKeys(api: Api, network: Ref): Promise<string[]> {
  const reserved = await api.records.list(interfaces, [network]);
  const guests = guestsOf(
    api,
    reserved.map(({ value }) => value),
  );
  return guests.map(({ ref }) => objectKey(ref));
}

/**
 * Refuses CIDRs that the reservations of the network do not fit. An address of a virtual machine prevents every
 * change of the CIDR of its family: its guest gets the prefix length and the gateway only when it is made.
 *
 * @param before Undefined for a network that is new, or whose record was lost.
 * @param reserved All interfaces except the gateway's.
 * @throws N0Error `failed_precondition` that names the field; `aborted` for a virtual machine whose key `tx`
 * does not hold, because it is new.
 */
export function throwIfNeeded(
  tx: Tx,
  ref: Ref,
  before: Network | undefined,
  after: Network,
  reserved: readonly InterfaceReservation[],
): void {
  const { api, held } = tx.context;
  const changed = FAMILIES.filter(
    (family) => before?.[`ipv${family}Cidr`] !== after[`ipv${family}Cidr`],
  );
  for (const family of changed) {
    for (const one of reserved) {
      const guest = guestOf(api, one);
      const why = whyKept(ref, one, family, after, before === undefined ? undefined : guest);
      if (why !== undefined) throw cannotChange(ref, family, before, why);
    }
  }
  if (before === undefined) return;
  for (const guest of guestsOf(api, reserved)) {
    if (held.keys.includes(objectKey(guest.ref))) continue;
    const message = `${shown(ref, guest)} has just joined the network: try again`;
    throw new N0Error("aborted", message, { retryAfterMs: 100 });
  }
}

/**
 * The nodes on which a guest may be using the network, so that its bridge is there. On others, the next boot
 * brings it.
 *
 * @throws N0Error `unavailable` if a node does not answer.
 */
export async function nodesInUse(
  { context: { api }, signal }: Tx,
  reserved: readonly InterfaceReservation[],
): Promise<string[]> {
  const found = new Set<string>();
  for (const { kind, ref } of guestsOf(api, reserved)) {
    const { nodeName } = reserved.find(({ owner }) => owner === formatRef(ref))!;
    if (found.has(nodeName)) continue;
    if (await kind.usesInterfaces(api, ref, signal)) found.add(nodeName);
  }
  return [...found].sort();
}

/** Why the interface prevents the change of the CIDR of that family. `guest`: of a network that is not new. */
function whyKept(
  network: Ref,
  reserved: InterfaceReservation,
  family: Family,
  after: Network,
  guest: Guest | undefined,
): string | undefined {
  const whys = spokenAddresses(reserved).map((address) =>
    whyAddressKept(network, { ...reserved, address }, family, after, guest),
  );
  return whys.find((why) => why !== undefined);
}

function whyAddressKept(
  network: Ref,
  reserved: Pick<InterfaceReservation, "name"> & { readonly address: string },
  family: Family,
  after: Network,
  guest: Guest | undefined,
): string | undefined {
  const address = parseAddress(reserved.address, family);
  if (address === undefined) return undefined;
  const text = formatAddress(address, family);
  if (guest !== undefined) {
    return `${shown(network, guest)} has ${text}: delete it first, or make another network`;
  }
  const cidrs = cidrsOf(after);
  const cidr = cidrs[`ipv${family}`];
  const gateway = gatewayAddresses(cidrs)[`ipv${family}Address`];
  if (cidr !== undefined && isHost(cidr, address) && text !== gateway) return undefined;
  return `interface "${reserved.name}" has ${text}, which does not fit the new one: release it first`;
}

/** The guest, in a message for the project of the network. */
function shown(network: Ref, { kind, ref }: Guest): string {
  const isOwn = ref.scope === network.scope;
  return isOwn ? `${kind.word} "${ref.name}"` : `a ${kind.word} of another project`;
}

function cannotChange(ref: Ref, family: Family, before: Network | undefined, why: string): N0Error {
  const field = `ipv${family}_cidr`;
  const was = before?.[`ipv${family}Cidr`];
  const now = was === undefined ? "had another" : `has ${was === "" ? "none" : was}`;
  return new N0Error(
    "failed_precondition",
    `${field}: network "${ref.name}" ${now}, which cannot change while ${why}`,
    { field, resource: formatRef(ref) },
  );
}
