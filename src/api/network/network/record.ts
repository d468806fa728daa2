import { clone, create } from "@bufbuild/protobuf";
import { NetworkInterfaceSchema } from "../../../gen/n0stack/budget/v0/network_interface_pb.ts";
import {
  type Network,
  Network_NetworkState,
  NetworkSchema,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { type Cidr, formatAddress, hostRange, parseCidr } from "../../../util/cidr.ts";
import { defined } from "../../../util/defined.ts";
import { withoutRootDot } from "../../../util/dns-name.ts";
import { notFound } from "../../../util/errors.ts";
import { nameOnNode, type Ref } from "../../../util/ref.ts";
import type { Reader } from "../../core/context.ts";
import type { Annotations } from "../../core/reserved.ts";
import type { Api } from "../context.ts";
import { type InterfaceReservation, interfaces } from "../interface/collection.ts";
import { anonymousName, ownInterfaceName, projectOfInterface } from "../interface/names.ts";
import { mtuOf } from "../segment/mtu.ts";
import { networks } from "./collection.ts";
import { vlanIn } from "./vlan.ts";

/** The interface that every network reserves for its gateway, with the original's name. */
export const DEFAULT_GATEWAY = "default-gateway";

export interface NetworkCidrs {
  readonly ipv4?: Cidr;
  readonly ipv6?: Cidr;
}

export async function getNetwork(api: Reader, ref: Ref) {
  const stored = await api.records.find(networks, ref);
  if (stored === undefined) throw notFound("network", ref.name);
  return stored;
}

/** The CIDRs were checked when the network was applied, so they parse. */
export function cidrsOf({ ipv4Cidr, ipv6Cidr }: Network): NetworkCidrs {
  const ipv4 = parseCidr(ipv4Cidr, 4);
  const ipv6 = parseCidr(ipv6Cidr, 6);
  return defined({ ipv4, ipv6 });
}

/** The last host address for IPv4, as in the original; the first one for IPv6. */
export function gatewayAddresses({ ipv4, ipv6 }: NetworkCidrs): {
  readonly ipv4Address: string;
  readonly ipv6Address: string;
} {
  return {
    ipv4Address: ipv4 === undefined ? "" : formatAddress(hostRange(ipv4).last, 4),
    ipv6Address: ipv6 === undefined ? "" : formatAddress(hostRange(ipv6).first, 6),
  };
}

/** With their prefix lengths; empty for none. */
type Gateways = { readonly ipv4Gateway: string; readonly ipv6Gateway: string };

/** The same with their prefix lengths, as its bridge on a node has them. */
export function gatewaysOnNode(cidrs: NetworkCidrs): Gateways {
  const { ipv4Address, ipv6Address } = gatewayAddresses(cidrs);
  return {
    ipv4Gateway: withPrefix(ipv4Address, cidrs.ipv4),
    ipv6Gateway: withPrefix(ipv6Address, cidrs.ipv6),
  };
}

/** DHCP and DNS for its guests, as its nodes have it. */
export type ServicesOnNode = { readonly domain: string; readonly nameservers: readonly string[] };

/** The network on each node where guests use it. */
export type PartsOnNode = Gateways & {
  /** The largest packet of its guests. An input of an older version has none, and leaves it as it is. */
  readonly mtu?: number;
  /** Whether the network lets no guest outside. An input of an older version has none. */
  readonly natOff?: boolean;
  /** An input of an older version has none, and leaves DHCP and DNS alone. */
  readonly services?: ServicesOnNode;
  /** The VLAN that it joins. */
  readonly vlanId?: number;
};

export function partsOnNode(
  network: Network,
): Required<Omit<PartsOnNode, "vlanId">> & Pick<PartsOnNode, "vlanId"> {
  const domain = withoutRootDot(network.domain).toLowerCase();
  const services = { domain, nameservers: network.nameservers };
  const its = { mtu: mtuOf(network), natOff: network.natOff, services, ...vlanIn(network) };
  return { ...gatewaysOnNode(cidrsOf(network)), ...its };
}

/** The network, for a request to a node. */
export function nodeNetworkMessage(
  ref: Ref,
  { ipv4Gateway, ipv6Gateway, mtu = 0, natOff = false, services, vlanId }: PartsOnNode,
) {
  return {
    ...{ name: nameOnNode(ref), ipv4Gateway, ipv6Gateway, mtu, natOff },
    ...(vlanId === undefined ? {} : { external: { vlanId } }),
    ...(services === undefined
      ? {}
      : { services: { ...services, nameservers: [...services.nameservers] } }),
  };
}

/** Empty for no address. */
export function withPrefix(address: string, cidr: Cidr | undefined): string {
  return address === "" || cidr === undefined ? "" : `${address}/${cidr.prefixLength}`;
}

/** The network as clients see it: with its reserved interfaces. */
export async function toWire(api: Api, network: Network, scope: string): Promise<Network> {
  const ref = { kind: networks.kind, scope, name: network.name };
  const reserved = await api.records.list(interfaces, [ref]);
  return withInterfaces(
    network,
    reserved.map(({ value }) => value),
  );
}

const READ_AT_ONCE = 1_000;

/** A page of networks as clients see them. Reads their interfaces together, in the order of the keys. */
export async function pageToWire(
  api: Api,
  page: readonly Network[],
  scope: string,
): Promise<Network[]> {
  const { kind } = networks;
  const folders = page.map(({ name }) => interfaces.under({ kind, scope, name })).sort();
  const last = folders.at(-1) ?? "";
  const reserved = new Map(page.map(({ name }) => [name, [] as InterfaceReservation[]]));
  for (let after = folders[0]; after !== undefined; ) {
    const found = await api.records.listPrefix(interfaces, interfaces.within(scope), {
      after,
      limit: READ_AT_ONCE,
    });
    for (const { key, value } of found) reserved.get(interfaces.parts(key)[0]!)?.push(value);
    const end = found.at(-1)?.key ?? "";
    const isAll = found.length < READ_AT_ONCE || (end > last && !end.startsWith(last));
    after = isAll ? undefined : end;
  }
  return page.map((network) => withInterfaces(network, reserved.get(network.name) ?? []));
}

/** As its own project sees it. It does not see which objects of other projects are on it. */
export function withInterfaces(
  network: Network,
  reserved: readonly InterfaceReservation[],
): Network {
  const seen = clone(NetworkSchema, network);
  seen.state = Network_NetworkState.AVAILABLE;
  for (const one of reserved) {
    const isOwn = ownInterfaceName(one.name) === one.name;
    const address = one.ipv4Address || one.ipv6Address || one.hardwareAddress;
    const name = isOwn ? one.name : anonymousName(address);
    seen.reservedNetworkInterfaces[name] = interfaceToWire(one, isOwn ? one.annotations : {});
  }
  return seen;
}

function interfaceToWire(
  { hardwareAddress, ipv4Address, ipv6Address }: InterfaceReservation,
  annotations: Annotations,
) {
  const addresses = { hardwareAddress, ipv4Address, ipv6Address };
  return create(NetworkInterfaceSchema, { annotations: { ...annotations }, ...addresses });
}

/** As a project sees it with which it is shared, without interfaces. */
export function seenElsewhere(network: Network): Network {
  const seen = clone(NetworkSchema, network);
  seen.state = Network_NetworkState.AVAILABLE;
  seen.annotations = {};
  seen.visibleTo = [];
  seen.vni = 0;
  delete seen.visibleSince;
  return seen;
}

/** The same, with the gateway and the interfaces of this project. */
export async function toWireElsewhere(
  api: Api,
  network: Network,
  ref: Ref,
  project: string,
): Promise<Network> {
  const seen = seenElsewhere(network);
  for (const { value } of await api.records.list(interfaces, [ref])) {
    const { name, annotations } = value;
    if (name !== DEFAULT_GATEWAY && projectOfInterface(ref, name) !== project) continue;
    seen.reservedNetworkInterfaces[name] = interfaceToWire(value, annotations);
  }
  return seen;
}
