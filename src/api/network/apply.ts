import { create } from "@bufbuild/protobuf";
import { put, putNew, unchanged } from "../../datastore/collection.ts";
import { ConflictError, merge, type Writes } from "../../datastore/datastore.ts";
import {
  type ApplyNetworkRequest,
  type Network,
  Network_NetworkState,
  NetworkSchema,
} from "../../gen/n0stack/pool/v0/network_pb.ts";
import { hardwareAddress } from "../../util/checksum.ts";
import {
  type Cidr,
  type Family,
  formatCidr,
  hasRoom,
  overlaps,
  parseCidr,
} from "../../util/cidr.ts";
import { invalid, N0Error } from "../../util/errors.ts";
import { DISABLE_NETWORK_DELETION_LOCK, IS_GATEWAY } from "../annotations.ts";
import {
  addresses,
  cidrAllocation,
  hardwareAddresses,
  type InterfaceReservation,
  interfaces,
  networks,
} from "../collections.ts";
import type { Api, Call, Tx } from "../context.ts";
import { answering } from "../idempotency/answer.ts";
import { runSaga } from "../saga.ts";
import {
  cidrsOf,
  DEFAULT_GATEWAY,
  gatewayAddresses,
  type NetworkCidrs,
  toWire,
  withInterfaces,
} from "./network-record.ts";

const CONFLICTS_MAX = 64;

/**
 * Makes a network, or changes the labels, annotations and domain of one. Its gateway is reserved with it.
 *
 * @throws N0Error `invalid_argument` for a CIDR that is none, that overlaps another network's, or that
 *   differs from the one it has; `aborted` when the network is busy.
 */
export async function applyNetwork(
  api: Api,
  call: Call,
  request: ApplyNetworkRequest,
): Promise<Network> {
  const cidrs = validate(request);
  const options = { kind: "ApplyNetwork", keys: [networks.key(request.name)] };
  return await runSaga(api, call, options, async (tx) => {
    const present = await api.records.find(networks, request.name);
    const network = create(NetworkSchema, {
      name: request.name,
      annotations: request.annotations,
      labels: request.labels,
      ipv4Cidr: cidrs.ipv4 === undefined ? "" : formatCidr(cidrs.ipv4),
      ipv6Cidr: cidrs.ipv6 === undefined ? "" : formatCidr(cidrs.ipv6),
      domain: request.domain,
      state: Network_NetworkState.AVAILABLE,
    });
    if (present !== undefined) throwIfMoved(present.value, network);
    const record = tx.context.held.put(networks, network.name, network);
    if (present === undefined) return await commitAlone(api, tx, network, record);
    const seen = await toWire(api, network);
    await tx.commit(answering(tx, seen, record));
    return seen;
  });
}

function validate(request: ApplyNetworkRequest): NetworkCidrs {
  const ipv4 = parseField(request.ipv4Cidr, "ipv4_cidr", 4);
  const ipv6 = parseField(request.ipv6Cidr, "ipv6_cidr", 6);
  if (ipv4 === undefined && ipv6 === undefined) {
    throw invalid("ipv4_cidr", "must be set, or ipv6_cidr");
  }
  if (
    request.domain !== "" &&
    !/^[a-zA-Z0-9-]{1,63}(\.[a-zA-Z0-9-]{1,63}){0,7}\.?$/.test(request.domain)
  ) {
    throw invalid("domain", "must be a domain name such as example.internal");
  }
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}

function parseField(text: string, field: string, family: Family): Cidr | undefined {
  if (text === "") return undefined;
  const cidr = parseCidr(text, family);
  const example = family === 4 ? "192.168.0.0/24" : "fd00::/64";
  if (cidr === undefined)
    throw invalid(field, `"${text}" is no IPv${family} CIDR such as ${example}`);
  if (!hasRoom(cidr)) {
    throw invalid(field, `"${text}" has no room for a gateway and a guest: take a shorter prefix`);
  }
  return cidr;
}

function throwIfMoved(before: Network, after: Network): void {
  for (const [field, was, is] of [
    ["ipv4_cidr", before.ipv4Cidr, after.ipv4Cidr],
    ["ipv6_cidr", before.ipv6Cidr, after.ipv6Cidr],
  ] as const) {
    if (was !== is) {
      throw invalid(
        field,
        `network "${before.name}" has ${was === "" ? "none" : was}, which cannot change`,
      );
    }
  }
}

/** Commits a network that is new, on the condition that it overlaps none that came meanwhile. */
async function commitAlone(api: Api, tx: Tx, network: Network, record: Writes): Promise<Network> {
  const gateway = gatewayOf(tx, network);
  const seen = withInterfaces(network, [gateway]);
  for (let conflicts = 0; ; conflicts++) {
    const alone = await throwIfOverlapping(api, network.name, cidrsOf(network));
    try {
      await tx.commit(answering(tx, seen, record, alone, reserveGateway(network, gateway)));
      return seen;
    } catch (reason) {
      if (!(reason instanceof ConflictError) || conflicts >= CONFLICTS_MAX) throw reason;
    }
  }
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

function reserveGateway(network: Network, gateway: InterfaceReservation): Writes {
  const usedBy = { usedBy: DEFAULT_GATEWAY };
  return merge(
    putNew(interfaces, [network.name, DEFAULT_GATEWAY], gateway),
    putNew(hardwareAddresses, [network.name, gateway.hardwareAddress], usedBy),
    ...[gateway.ipv4Address, gateway.ipv6Address]
      .filter((address) => address !== "")
      .map((address) => putNew(addresses, [network.name, address], usedBy)),
  );
}
