import { put, putNew, remove, unchanged } from "../../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../../datastore/datastore.ts";
import type { Stored } from "../../datastore/records.ts";
import type { Network } from "../../gen/n0stack/pool/v0/network_pb.ts";
import { hardwareAddress } from "../../util/checksum.ts";
import {
  type Cidr,
  type Family,
  formatAddress,
  formatCidr,
  isHost,
  overlaps,
  parseAddress,
} from "../../util/cidr.ts";
import { N0Error } from "../../util/errors.ts";
import { DISABLE_NETWORK_DELETION_LOCK, IS_GATEWAY } from "../annotations.ts";
import {
  cidrAllocation,
  type InterfaceReservation,
  interfaceAllocations,
  interfaces,
  networks,
} from "../collections.ts";
import type { Api, Tx } from "../context.ts";
import { answering } from "../idempotency/answer.ts";
import { uniques } from "./interfaces.ts";
import {
  cidrsOf,
  DEFAULT_GATEWAY,
  gatewayAddresses,
  type NetworkCidrs,
  withInterfaces,
} from "./network-record.ts";

const CONFLICTS_MAX = 64;
const FAMILIES = [4, 6] as const;

export function hasSameCidrs(before: Network, after: Network): boolean {
  return before.ipv4Cidr === after.ipv4Cidr && before.ipv6Cidr === after.ipv6Cidr;
}

/**
 * Commits a network that is new, or has other CIDRs than before, with its gateway: on the condition that it
 * overlaps no network that came meanwhile, and that nothing has been reserved on it meanwhile.
 *
 * @param record the write of `network` itself.
 * @throws N0Error `invalid_argument` for a CIDR that overlaps another network's; `failed_precondition` where
 *   something needs the CIDRs that `before` has.
 */
export async function commitCidrs(
  tx: Tx,
  before: Network | undefined,
  network: Network,
  record: Writes,
): Promise<Network> {
  const { api } = tx.context;
  const gateway = gatewayOf(tx, network);
  for (let conflicts = 0; ; conflicts++) {
    const guard = await api.records.find(interfaceAllocations, network.name);
    const reserved = await api.records.list(interfaces, [network.name]);
    const old = reserved.find(({ value }) => value.name === DEFAULT_GATEWAY);
    const others = reserved.filter((one) => one !== old).map(({ value }) => value);
    throwIfNeeded(before, network, others);
    const alone = await throwIfOverlapping(api, network.name, cidrsOf(network));
    const seen = withInterfaces(network, [...others, gateway]);
    try {
      await tx.commit(
        answering(
          tx,
          seen,
          record,
          alone,
          reserveGateway(network.name, old, gateway),
          unchanged(interfaceAllocations, [network.name], guard?.revision ?? 0),
        ),
      );
      return seen;
    } catch (reason) {
      if (!(reason instanceof ConflictError) || conflicts >= CONFLICTS_MAX) throw reason;
    }
  }
}

/**
 * Refuses CIDRs that a virtual machine on the network rules out, for its node has the gateways, and its guest
 * the prefix lengths, that the network had when it was booted; and those that what is reserved does not fit.
 */
function throwIfNeeded(
  before: Network | undefined,
  after: Network,
  reserved: readonly InterfaceReservation[],
): void {
  const machines = reserved.flatMap(
    ({ owner }) => /^virtual_machine\/(.+)$/.exec(owner ?? "")?.[1] ?? [],
  );
  const some = [...new Set(machines)].slice(0, 5).map((name) => `"${name}"`);
  const cidrs = cidrsOf(after);
  for (const family of FAMILIES) {
    const was = before?.[`ipv${family}Cidr`];
    if (was === after[`ipv${family}Cidr`]) continue;
    if (before !== undefined && some.length > 0) {
      const why = `virtual machines such as ${some.join(", ")} are on it: delete them first, or make another network`;
      throw cannotChange(family, after.name, was, why);
    }
    const gateway = addressOf(gatewayAddresses(cidrs), family);
    for (const one of reserved) {
      const address = addressOf(one, family);
      if (address === undefined || fits(cidrs[`ipv${family}`], address, gateway)) continue;
      const text = formatAddress(address, family);
      const why = `interface "${one.name}" has ${text}, which does not fit the new one: release it first`;
      throw cannotChange(family, after.name, was, why);
    }
  }
}

function cannotChange(family: Family, name: string, was: string | undefined, why: string): N0Error {
  const field = `ipv${family}_cidr`;
  const now = was === undefined ? "had another" : `has ${was === "" ? "none" : was}`;
  return new N0Error(
    "failed_precondition",
    `${field}: network "${name}" ${now}, which cannot change while ${why}`,
    { field, resource: `network/${name}` },
  );
}

type Addresses = Pick<InterfaceReservation, "ipv4Address" | "ipv6Address">;

function addressOf(addresses: Addresses, family: Family): bigint | undefined {
  return parseAddress(addresses[`ipv${family}Address`], family);
}

function fits(cidr: Cidr | undefined, address: bigint, gateway: bigint | undefined): boolean {
  return cidr !== undefined && isHost(cidr, address) && address !== gateway;
}

/** @returns the condition that no network has come or gone since, so that two can never overlap. */
async function throwIfOverlapping(api: Api, name: string, cidrs: NetworkCidrs): Promise<Writes> {
  const guard = await api.records.find(cidrAllocation, "all");
  for (const { value } of await api.records.list(networks)) {
    if (value.name === name) continue;
    const other = cidrsOf(value);
    for (const family of ["ipv4", "ipv6"] as const) {
      const [mine, theirs] = [cidrs[family], other[family]];
      if (mine === undefined || theirs === undefined || !overlaps(mine, theirs)) continue;
      throw new N0Error(
        "invalid_argument",
        `${family}_cidr: ${formatCidr(mine)} overlaps ${formatCidr(theirs)} of network "${value.name}"`,
        { field: `${family}_cidr`, resource: `network/${value.name}` },
      );
    }
  }
  return merge(
    unchanged(cidrAllocation, ["all"], guard?.revision ?? 0),
    put(cidrAllocation, ["all"], {}),
  );
}

function gatewayOf(tx: Tx, network: Network): InterfaceReservation {
  return {
    name: DEFAULT_GATEWAY,
    owner: `network/${network.name}`,
    transactionId: tx.id,
    annotations: { [IS_GATEWAY]: "true", [DISABLE_NETWORK_DELETION_LOCK]: "true" },
    hardwareAddress: hardwareAddress(`${network.name}/${DEFAULT_GATEWAY}`),
    ...gatewayAddresses(cidrsOf(network)),
    nodeName: "",
    tapName: "",
  };
}

/** Reserves the gateway's interface anew; what `old` has and `gateway` has not is free then. */
function reserveGateway(
  networkName: string,
  old: Stored<InterfaceReservation> | undefined,
  gateway: InterfaceReservation,
): Writes {
  const key = [networkName, DEFAULT_GATEWAY];
  const wanted = uniques(networkName, gateway);
  const had = old === undefined ? [] : uniques(networkName, old.value);
  const keyOf = ({ of, parts }: (typeof wanted)[number]) => of.key(...parts);
  const hadKeys = new Set(had.map(keyOf));
  const wantedKeys = new Set(wanted.map(keyOf));
  return merge(
    old === undefined
      ? putNew(interfaces, key, gateway)
      : merge(put(interfaces, key, gateway), unchanged(interfaces, key, old.revision)),
    ...had
      .filter((one) => !wantedKeys.has(keyOf(one)))
      .map(({ of, parts }) => remove(of, ...parts)),
    ...wanted
      .filter((one) => !hadKeys.has(keyOf(one)))
      .map(({ of, parts }) => putNew(of, parts, { usedBy: DEFAULT_GATEWAY })),
  );
}
