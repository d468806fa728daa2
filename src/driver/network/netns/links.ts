import { SocketAddress } from "node:net";
import { METADATA_ADDRESSES } from "../../../util/metadata-addresses.ts";
import { NETNS_FOLDER } from "./namespace.ts";
import { dump, get, type Parcel, u32 } from "./rtnetlink.ts";

/** <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>, <linux/if.h> */
const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
const IFLA = { name: 3, mtu: 4, link: 5, master: 10, linkInfo: 18, alias: 20, group: 27 } as const;
const INFO = { kind: 1, data: 2, portData: 5 } as const;
const VXLAN = { id: 1, ipv4Local: 4, learning: 7, port: 15, ipv6Local: 17 } as const;
const PORT = {
  learning: 8,
  flood: 9,
  multicastFlood: 27,
  broadcastFlood: 30,
  suppress: 32,
} as const;
const TUN_GROUP = 2;
const VLAN_ID = 1;
const BRIDGE = { forwardMask: 9, callIptables: 36, callIp6tables: 37 } as const;
const IFA = { address: 1, local: 2 } as const;
const SCOPE_LINK = 253;
const AF_INET = 2;
const AF_INET6 = 10;
const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x10000;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** The index of the other end of a veth, in the namespace of that end. */
  readonly peerIndex: number | undefined;
  readonly isUp: boolean;
  /** A veth has a carrier while its other end is up. */
  readonly hasCarrier: boolean;
  readonly master: string | undefined;
  readonly kind: string | undefined;
  readonly group: number;
  /** The group that may open a tap. It is set when the tap is made. */
  readonly tunGroup: number | undefined;
  /** Of a bridge: a bit for each link-local group whose frames it forwards, by the last digit of its address. */
  readonly forwardMask: number | undefined;
  /** Of a bridge: whether what it forwards passes the rules of IPv4 and IPv6. */
  readonly callsFilters: boolean;
  readonly alias: string | undefined;
  readonly mtu: number;
  readonly vxlan: VxlanLink | undefined;
  /** Of a VLAN device. */
  readonly vlanId: number | undefined;
  /** Whether a port of a bridge sends only what it is told to, and answers for those who are behind it. */
  readonly isQuietPort: boolean;
  /** With their prefix length, without those that the kernel assigned to the link itself, and those of metadata. */
  readonly addresses: readonly string[];
  /** Those of metadata, without prefix length. */
  readonly metadataAddresses: readonly string[];
}

type LinkAddresses = Pick<Link, "addresses" | "metadataAddresses">;

const NO_ADDRESSES: LinkAddresses = { addresses: [], metadataAddresses: [] };

export interface VxlanLink {
  readonly vni: number;
  /** The address from which it sends; empty for none. */
  readonly local: string;
  readonly port: number;
  readonly learns: boolean;
}

/** All links of a named namespace; if undefined, of the node's own. */
export async function readLinks(netns: string | undefined): Promise<readonly Link[]> {
  const path = netns === undefined ? undefined : `${NETNS_FOLDER}/${netns}`;
  const [links, addresses] = await Promise.all([dump(path, RTM_GETLINK), dump(path, RTM_GETADDR)]);
  const names = new Map(
    links.map((link) => [
      link.u32(4),
      link.attributes(LINK_HEADER_BYTES).get(IFLA.name)?.text ?? "",
    ]),
  );
  const addressesOf = addressesByLink(addresses);
  return links.map((link) => linkOf(link, names, addressesOf));
}

/** The link with that index in the namespace at `path`, without its master and addresses. */
export async function readLinkAt(path: string, index: number): Promise<Link | undefined> {
  const header = Buffer.alloc(LINK_HEADER_BYTES);
  u32(index).copy(header, 4);
  const [link] = await get(path, RTM_GETLINK, header);
  return link === undefined ? undefined : linkOf(link, new Map(), new Map());
}

function linkOf(
  link: Parcel,
  names: ReadonlyMap<number, string>,
  addressesOf: ReadonlyMap<number, LinkAddresses>,
): Link {
  const index = link.u32(4);
  const attributes = link.attributes(LINK_HEADER_BYTES);
  const flags = link.u32(8);
  const master = attributes.get(IFLA.master)?.u32();
  const info = attributes.get(IFLA.linkInfo)?.attributes();
  const kind = info?.get(INFO.kind)?.text;
  const data = info?.get(INFO.data)?.attributes();
  return {
    index,
    name: attributes.get(IFLA.name)?.text ?? "",
    peerIndex: attributes.get(IFLA.link)?.u32(),
    isUp: (flags & IFF_UP) !== 0,
    hasCarrier: (flags & IFF_LOWER_UP) !== 0,
    master: master === undefined ? undefined : names.get(master),
    kind,
    group: attributes.get(IFLA.group)?.u32() ?? 0,
    tunGroup: kind === "tun" ? data?.get(TUN_GROUP)?.u32() : undefined,
    forwardMask: kind === "bridge" ? data?.get(BRIDGE.forwardMask)?.u16() : undefined,
    callsFilters: [BRIDGE.callIptables, BRIDGE.callIp6tables].every(
      (option) => kind === "bridge" && data?.get(option)?.u8() === 1,
    ),
    alias: attributes.get(IFLA.alias)?.text,
    mtu: attributes.get(IFLA.mtu)?.u32() ?? 0,
    vxlan: kind === "vxlan" && data !== undefined ? vxlanOf(data) : undefined,
    vlanId: kind === "vlan" ? data?.get(VLAN_ID)?.u16() : undefined,
    isQuietPort: isQuiet(info?.get(INFO.portData)?.attributes()),
    ...(addressesOf.get(index) ?? NO_ADDRESSES),
  };
}

function vxlanOf(data: ReadonlyMap<number, Parcel>): VxlanLink {
  const [ipv4, ipv6] = [data.get(VXLAN.ipv4Local), data.get(VXLAN.ipv6Local)];
  return {
    vni: data.get(VXLAN.id)?.u32() ?? 0,
    local: (ipv4 && formatAddress(AF_INET, ipv4)) ?? (ipv6 && formatAddress(AF_INET6, ipv6)) ?? "",
    // In the byte order of networks.
    port: data.get(VXLAN.port)?.bytes.readUInt16BE() ?? 0,
    learns: data.get(VXLAN.learning)?.u8() !== 0,
  };
}

function isQuiet(port: ReadonlyMap<number, Parcel> | undefined): boolean {
  const { learning, flood, multicastFlood, broadcastFlood, suppress } = PORT;
  const isOff = (type: number) => port?.get(type)?.u8() === 0;
  const isNoisy = ![learning, flood, multicastFlood, broadcastFlood].every(isOff);
  return !isNoisy && port?.get(suppress)?.u8() === 1;
}

function addressesByLink(messages: readonly Parcel[]): Map<number, LinkAddresses> {
  const found = new Map<number, LinkAddresses>();
  for (const message of messages) {
    const [family, prefixLength, scope] = [message.u8(0), message.u8(1), message.u8(3)];
    const attributes = message.attributes(ADDRESS_HEADER_BYTES);
    const address = attributes.get(IFA.local) ?? attributes.get(IFA.address);
    const text = address === undefined ? undefined : formatAddress(family, address);
    if (text === undefined) continue;
    const index = message.u32(4);
    const { addresses, metadataAddresses } = found.get(index) ?? NO_ADDRESSES;
    // A gateway may have the same address, with a prefix length of its network.
    if (METADATA_ADDRESSES.includes(text) && (prefixLength === 32 || prefixLength === 128)) {
      found.set(index, { addresses, metadataAddresses: [...metadataAddresses, text] });
    } else if (scope !== SCOPE_LINK) {
      const all = [...addresses, `${text}/${prefixLength}`];
      found.set(index, { addresses: all, metadataAddresses });
    }
  }
  return found;
}

/** Written like the result of `gatewaysOf`: by inet_ntop. */
export function formatAddress(family: number, { bytes }: Parcel): string | undefined {
  if (family === AF_INET) return [...bytes].join(".");
  if (family !== AF_INET6) return undefined;
  const groups = bytes.toString("hex").match(/.{4}/g) ?? [];
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}
