import { parseAddress } from "../../../util/cidr.ts";
import { formatAddress } from "./links.ts";
import { attribute, dump, get, type Message, type Parcel, u32 } from "./rtnetlink.ts";

/** <linux/rtnetlink.h>, <linux/neighbour.h>, <linux/if_bridge.h> */
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;
const HEADER_BYTES = 12;
const NDA = { destination: 1, hardwareAddress: 2, master: 9 } as const;
const NUD = {
  incomplete: 0x01,
  reachable: 0x02,
  failed: 0x20,
  noArp: 0x40,
  permanent: 0x80,
} as const;
/** `sticky`: an entry of the bridge that no frame moves, also if it comes through another port. */
const NTF = { self: 0x02, master: 0x04, sticky: 0x40 } as const;
const AF_BRIDGE = 7;
const AF_INET = 2;
const AF_INET6 = 10;

/** Stands for every hardware address that a VXLAN device does not know. */
const ANY_HARDWARE_ADDRESS = "00:00:00:00:00:00";

/** Where the frames to a hardware address go that leave through a VXLAN device. */
export interface Forwarding {
  /** By hardware address, the node, as the device knows it. */
  readonly remotes: ReadonlyMap<string, string>;
  /** The hardware addresses that the bridge sends to the device. */
  readonly bridged: ReadonlySet<string>;
  /** The nodes that get the frames to many, and to nobody that the device knows. */
  readonly floods: ReadonlySet<string>;
}

/** The entries of a VXLAN device that is a port of a bridge, in the namespace at `path`. */
export async function readForwarding(path: string, deviceIndex: number): Promise<Forwarding> {
  const remotes = new Map<string, string>();
  const bridged = new Set<string>();
  const floods = new Set<string>();
  for (const entry of await dump(path, RTM_GETNEIGH, header(AF_BRIDGE, 0, 0, 0))) {
    if (entry.u32(4) !== deviceIndex) continue;
    const state = entry.u16(8);
    const attributes = entry.attributes(HEADER_BYTES);
    const hardwareAddress = hardwareAddressIn(attributes);
    if (hardwareAddress === undefined) continue;
    const remote = attributes.get(NDA.destination);
    if (attributes.get(NDA.master) !== undefined) {
      // The device's own address is permanent.
      if ((state & NUD.permanent) === 0) bridged.add(hardwareAddress);
    } else if (remote !== undefined) {
      const node = formatAny(remote) ?? "";
      if (hardwareAddress === ANY_HARDWARE_ADDRESS) floods.add(node);
      else remotes.set(hardwareAddress, node);
    }
  }
  return { remotes, bridged, floods };
}

/** By IP address, the hardware addresses that were written down for the device. */
export async function readNeighbours(
  path: string,
  deviceIndex: number,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await dump(path, RTM_GETNEIGH)) {
    if (entry.u32(4) !== deviceIndex || (entry.u16(8) & NUD.permanent) === 0) continue;
    const attributes = entry.attributes(HEADER_BYTES);
    const hardwareAddress = hardwareAddressIn(attributes);
    const address = attributes.get(NDA.destination);
    const text = address === undefined ? undefined : formatAny(address);
    if (text !== undefined && hardwareAddress !== undefined) found.set(text, hardwareAddress);
  }
  return found;
}

/** The hardware address that the kernel has found for an IP address behind the device. */
export async function hardwareAddressOf(
  path: string,
  deviceIndex: number,
  address: string,
): Promise<string | undefined> {
  const head = header(familyOf(address), deviceIndex, 0, 0);
  const asked = Buffer.concat([head, attribute(NDA.destination, addressBytes(address))]);
  const [entry] = await get(path, RTM_GETNEIGH, asked);
  if (entry === undefined || (entry.u16(8) & (NUD.incomplete | NUD.failed)) !== 0) return undefined;
  return hardwareAddressIn(entry.attributes(HEADER_BYTES));
}

/** The index of the port behind which the bridge has heard the hardware address. */
export async function portOf(
  path: string,
  bridgeIndex: number,
  hardwareAddress: string,
): Promise<number | undefined> {
  const head = header(AF_BRIDGE, 0, 0, NTF.master);
  const bridge = attribute(NDA.master, u32(bridgeIndex));
  const asked = Buffer.concat([head, linkAddress(hardwareAddress), bridge]);
  const [entry] = await get(path, RTM_GETNEIGH, asked);
  return entry?.u32(4);
}

/** Both entries at once: that of the device, and that of its bridge. */
export function addForwarding(
  deviceIndex: number,
  hardwareAddress: string,
  remote: string,
): Message {
  // VXLAN takes what is reachable, and the bridge keeps what needs no ARP.
  const state = NUD.noArp | NUD.reachable;
  const head = header(AF_BRIDGE, deviceIndex, state, NTF.self | NTF.master | NTF.sticky);
  const address = attribute(NDA.destination, addressBytes(remote));
  return add(Buffer.concat([head, linkAddress(hardwareAddress), address]));
}

export function removeRemote(deviceIndex: number, hardwareAddress: string): Message {
  return removeForwarding(deviceIndex, hardwareAddress, NTF.self);
}

export function removeBridged(deviceIndex: number, hardwareAddress: string): Message {
  return removeForwarding(deviceIndex, hardwareAddress, NTF.master);
}

/** One more node that gets the frames to many. */
export function addFlood(deviceIndex: number, remote: string): Message {
  const body = floodBody(deviceIndex, NUD.noArp | NUD.permanent, remote);
  return { type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_APPEND, body };
}

export function removeFlood(deviceIndex: number, remote: string): Message {
  return { type: RTM_DELNEIGH, flags: 0, body: floodBody(deviceIndex, 0, remote) };
}

function floodBody(deviceIndex: number, state: number, remote: string): Buffer {
  const head = header(AF_BRIDGE, deviceIndex, state, NTF.self);
  const address = attribute(NDA.destination, addressBytes(remote));
  return Buffer.concat([head, linkAddress(ANY_HARDWARE_ADDRESS), address]);
}

export function addNeighbour(
  deviceIndex: number,
  address: string,
  hardwareAddress: string,
): Message {
  const head = header(familyOf(address), deviceIndex, NUD.permanent, 0);
  const destination = attribute(NDA.destination, addressBytes(address));
  return add(Buffer.concat([head, destination, linkAddress(hardwareAddress)]));
}

export function removeNeighbour(deviceIndex: number, address: string): Message {
  const head = header(familyOf(address), deviceIndex, 0, 0);
  const destination = attribute(NDA.destination, addressBytes(address));
  return { type: RTM_DELNEIGH, flags: 0, body: Buffer.concat([head, destination]) };
}

function removeForwarding(deviceIndex: number, hardwareAddress: string, flags: number): Message {
  const body = Buffer.concat([
    header(AF_BRIDGE, deviceIndex, 0, flags),
    linkAddress(hardwareAddress),
  ]);
  return { type: RTM_DELNEIGH, flags: 0, body };
}

function add(body: Buffer): Message {
  return { type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, body };
}

/** struct ndmsg: family, index, state, flags, type. The numbers are in the byte order of the processor. */
function header(family: number, deviceIndex: number, state: number, flags: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes[0] = family;
  new Int32Array(bytes.buffer, bytes.byteOffset + 4, 1)[0] = deviceIndex;
  new Uint16Array(bytes.buffer, bytes.byteOffset + 8, 1)[0] = state;
  bytes[10] = flags;
  return bytes;
}

function hardwareAddressIn(attributes: ReadonlyMap<number, Parcel>): string | undefined {
  const bytes = attributes.get(NDA.hardwareAddress)?.bytes;
  return bytes?.length === 6 ? bytes.toString("hex").match(/../g)?.join(":") : undefined;
}

function linkAddress(text: string): Buffer {
  return attribute(NDA.hardwareAddress, Buffer.from(text.replaceAll(":", ""), "hex"));
}

function formatAny(address: Parcel): string | undefined {
  return formatAddress(address.bytes.length === 4 ? AF_INET : AF_INET6, address);
}

function familyOf(address: string): number {
  return address.includes(":") ? AF_INET6 : AF_INET;
}

export function addressBytes(text: string): Buffer {
  const family = text.includes(":") ? 6 : 4;
  const value = parseAddress(text, family);
  if (value === undefined) throw new Error(`${text} is not an address`);
  return Buffer.from(value.toString(16).padStart(family === 6 ? 32 : 8, "0"), "hex");
}
