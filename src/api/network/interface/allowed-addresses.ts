import { unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Writes } from "../../../datastore/datastore.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { type AddressRange, parseAddressRange, rangeAt } from "../../../util/address-range.ts";
import { canonicalAddress, formatAddress, isHost, parseAddress } from "../../../util/cidr.ts";
import { invalid, N0Error } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { formatRef, nameBeside, type Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";
import { networks } from "../network/collection.ts";
import { cidrsOf } from "../network/record.ts";
import { groupsOfInterface } from "../security-group/on-node.ts";
import {
  addressesOf,
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
} from "./collection.ts";
import { ownInterfaceName, projectOfInterface } from "./names.ts";

/** The nics that may share an address. Their node notes them together, in the comment of an element. */
const SHARERS_MAX = 8;
const CONFLICTS_MAX = 64;

/**
 * The allowed addresses that a request names, in canonical text. Automatic choice never gives one to anybody, since
 * each is in a reserved range of the network.
 *
 * @throws N0Error `invalid_argument`
 */
export function checkAllowed(
  fieldPrefix: string,
  { network, shownName }: { readonly network: Network; readonly shownName: string },
  asked: readonly string[],
): string[] {
  const cidrs = cidrsOf(network);
  return asked.map((text, i) => {
    const field = `${fieldPrefix}allowed_addresses[${i}]`;
    const family = text.includes(":") ? 6 : 4;
    const address = parseAddress(text, family);
    if (address === undefined) throw invalid(field, `${quote(text)} is not an IP address`);
    const cidr = cidrs[`ipv${family}`];
    if (cidr === undefined || !isHost(cidr, address)) {
      throw invalid(field, `${text} is not a host address of network "${shownName}"`);
    }
    const canonical = formatAddress(address, family);
    if (isReserved(network.reservedRanges, canonical)) return canonical;
    throw invalid(
      field,
      `${canonical} is not in reserved_ranges of network "${shownName}": add it there first, so that no nic gets it as its own`,
    );
  });
}

export function isReserved(reservedRanges: readonly string[], text: string): boolean {
  const family = text.includes(":") ? 6 : 4;
  const address = parseAddress(text, family);
  const all = reservedRanges.map((one) => parseAddressRange(one)!);
  const ranges: AddressRange[] = all
    .filter((one) => one.family === family)
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  return address !== undefined && rangeAt(ranges, address) !== undefined;
}

/** What an interface is about to get. */
interface Getting {
  readonly reserved: Pick<
    InterfaceReservation,
    "name" | "owner" | "nodeName" | "securityGroups" | "transactionId"
  >;
  /** The addresses that it alone has. */
  readonly own: readonly string[];
  readonly allowed: readonly string[] | undefined;
}

/**
 * Writes what gives an interface its addresses, on the condition that no other has one of its own as an allowed one,
 * or the other way round. Most have nothing to do with that, and get no condition.
 *
 * @param write gets the condition.
 * @throws N0Error `already_exists` for an address in use; `failed_precondition` for one that it cannot share; what
 * `write` throws.
 */
export async function writeShared(
  api: Api,
  network: Ref,
  getting: Getting,
  write: (condition: Writes) => Promise<unknown>,
): Promise<void> {
  const { own, allowed = [] } = getting;
  const ranges = (await api.records.find(networks, network))?.value.reservedRanges ?? [];
  const isFree =
    allowed.length === 0 && (ranges.length === 0 || !own.some((one) => isReserved(ranges, one)));
  if (isFree) return void (await write({}));
  for (let conflicts = 0; ; conflicts++) {
    const guard = await api.records.find(interfaceAllocations, network);
    const stored = await api.records.list(interfaces, [network]);
    for (const { value } of stored) {
      if (value.name !== getting.reserved.name) throwIfTaken(network, getting, value);
    }
    throwIfMany(
      network,
      getting,
      stored.map(({ value }) => value),
    );
    try {
      const revision = guard?.revision ?? 0;
      return void (await write(unchanged(interfaceAllocations, [network], revision)));
    } catch (reason) {
      const isGuard =
        reason instanceof ConflictError && reason.key.startsWith(interfaceAllocations.prefix);
      if (!isGuard || conflicts >= CONFLICTS_MAX) throw reason;
    }
  }
}

function throwIfTaken(network: Ref, getting: Getting, other: InterfaceReservation): void {
  const { reserved, own, allowed = [] } = getting;
  const shared = new Set(other.allowedAddresses);
  const alone = new Set(addressesOf(other).map(canonicalAddress));
  const project = projectOfInterface(network, reserved.name);
  const isSeen = projectOfInterface(network, other.name) === project;
  const by = isSeen ? `taken by interface "${ownInterfaceName(other.name)}"` : "taken";
  const where = `network "${nameBeside({ scope: project }, network)}"`;
  const facts = { resource: formatRef(network) };
  const refused = (address: string, why: string) =>
    new N0Error("already_exists", `${where}: address ${address} is ${by}${why}`, facts);

  const wanted = own.find((one) => shared.has(canonicalAddress(one)));
  if (wanted !== undefined) {
    throw refused(wanted, ", which shares it in allowed_addresses: use another one");
  }
  const owned = allowed.find((one) => alone.has(one));
  if (owned !== undefined) throw refused(owned, ", so nobody can share it: use another one");
  const common = allowed.find((one) => shared.has(one));
  if (common === undefined) return;
  if (!isSeen) throw refused(common, " by another project: use another one");
  if (groupsText(reserved) === groupsText(other)) return;
  throw new N0Error(
    "failed_precondition",
    `${where}: interface "${ownInterfaceName(other.name)}" shares ${common}, and is in other security groups (${groupsText(other)}): nics that share an address must be in the same ones`,
    { field: "allowed_addresses", ...facts },
  );
}

function throwIfMany(
  network: Ref,
  { reserved, allowed = [] }: Getting,
  all: readonly InterfaceReservation[],
): void {
  const others = all.filter(({ name }) => name !== reserved.name);
  const full = allowed.find(
    (address) =>
      others.filter(({ allowedAddresses = [] }) => allowedAddresses.includes(address)).length >=
      SHARERS_MAX,
  );
  if (full === undefined) return;
  throw new N0Error(
    "failed_precondition",
    `${SHARERS_MAX} nics share ${full}, and no more can: take it from one of them first`,
    { field: "allowed_addresses", resource: formatRef(network) },
  );
}

function groupsText(reserved: Getting["reserved"]): string {
  const groups = groupsOfInterface(reserved);
  return groups === "off" ? groups : [...groups].sort().join(", ");
}
