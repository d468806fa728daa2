// Frames as a guest may send them, byte by byte.
import { parseAddress } from "../../src/util/cidr.ts";

export const BROADCAST = "ff:ff:ff:ff:ff:ff";

export const macBytes = (text: string) => Buffer.from(text.replaceAll(":", ""), "hex");

export function addressBytes(text: string): Buffer {
  const family = text.includes(":") ? 6 : 4;
  const value = parseAddress(text, family);
  if (value === undefined) throw new Error(`not an address: ${text}`);
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex");
}

const u16 = (...values: readonly number[]) =>
  Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]));

interface Ends {
  readonly from: string;
  readonly to: string;
}

export function ethernet({ from, to }: Ends, type: number, payload: Buffer): Buffer {
  return Buffer.concat([macBytes(to), macBytes(from), u16(type), payload]);
}

/** IEEE 802.3: the length in the place of the type, then the header of LLC. */
export function llc(ends: Ends, payload: Buffer): Buffer {
  return ethernet(ends, payload.length + 3, Buffer.concat([Buffer.from([0x42, 0x42, 3]), payload]));
}

/** The frame with a tag of IEEE 802.1Q or 802.1ad. */
export function tagged(frame: Buffer, type: number, vlan: number): Buffer {
  return Buffer.concat([frame.subarray(0, 12), u16(type, vlan), frame.subarray(12)]);
}

interface Arp {
  readonly operation: "request" | "reply";
  readonly sender: readonly [mac: string, address: string];
  readonly target: readonly [mac: string, address: string];
}

export function arp({ operation, sender, target }: Arp): Buffer {
  const head = u16(1, 0x0800, 0x0604, operation === "request" ? 1 : 2);
  const ends = [sender, target].flatMap(([mac, address]) => [macBytes(mac), addressBytes(address)]);
  return Buffer.concat([head, ...ends]);
}

const UDP = 17;
const ICMPV6 = 58;

export function udp(fromPort: number, toPort: number, body = Buffer.alloc(8)): Buffer {
  return Buffer.concat([u16(fromPort, toPort, body.length + 8, 0), body]);
}

/** `offset` counts bytes. */
interface Fragment {
  readonly offset: number;
  readonly more: boolean;
}

export function ipv4(
  { from, to }: Ends,
  payload: Buffer,
  { offset, more }: Fragment = { offset: 0, more: false },
  protocol = UDP,
): Buffer {
  const head = Buffer.concat([
    u16(0x4500, payload.length + 20, 0x6e30, (more ? 0x2000 : 0) | (offset / 8)),
    Buffer.from([64, protocol, 0, 0]),
    addressBytes(from),
    addressBytes(to),
  ]);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += head.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  head.writeUInt16BE(0xffff - sum, 10);
  return Buffer.concat([head, payload]);
}

/** What comes behind the header of IPv6: its number, and its bytes. */
export interface Next {
  readonly header: number;
  readonly bytes: Buffer;
}

export function ipv6({ from, to }: Ends, { header, bytes }: Next, hopLimit = 255): Buffer {
  const head = [Buffer.from([0x60, 0, 0, 0]), u16(bytes.length), Buffer.from([header, hopLimit])];
  return Buffer.concat([...head, addressBytes(from), addressBytes(to), bytes]);
}

export const udp6 = (...args: Parameters<typeof udp>): Next => ({
  header: UDP,
  bytes: udp(...args),
});

/** With a pseudo header, the checksum would be right; nobody here checks it. */
export function icmpv6(type: number, ...rest: readonly Buffer[]): Next {
  return { header: ICMPV6, bytes: Buffer.concat([Buffer.from([type, 0, 0, 0]), ...rest]) };
}

/** Hop-by-hop (0) or destination options (60) with nothing but padding, before `next`. */
export function options(header: 0 | 60, next: Next): Next {
  return { header, bytes: Buffer.concat([optionsAlone(next.header), next.bytes]) };
}

export function optionsAlone(nextHeader: number): Buffer {
  return Buffer.from([nextHeader, 0, 1, 4, 0, 0, 0, 0]);
}

export function fragment6({ offset, more }: Fragment, { header, bytes }: Next): Next {
  const head = [Buffer.from([header, 0]), u16(offset | (more ? 1 : 0), 0x6e30, 0x6e30)];
  return { header: 44, bytes: Buffer.concat([...head, bytes]) };
}

const RESERVED = Buffer.alloc(4);

/** The option of neighbor discovery with the address of the source (1) or of the target (2). */
export const linkLayerOption = (type: 1 | 2, mac: string) =>
  Buffer.concat([Buffer.from([type, 1]), macBytes(mac)]);
/** RFC 3971, as RFC 7527 uses it. */
export const nonce = () => Buffer.from([14, 1, 1, 2, 3, 4, 5, 6]);

export const routerSolicit = (...rest: readonly Buffer[]) => icmpv6(133, RESERVED, ...rest);
/** A router for 1800 s. */
export const routerAdvert = () => icmpv6(134, Buffer.from([64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]));
export const solicit = (target: string, ...rest: readonly Buffer[]) =>
  icmpv6(135, RESERVED, addressBytes(target), ...rest);
export const advert = (target: string, ...rest: readonly Buffer[]) =>
  icmpv6(136, Buffer.from([0x60, 0, 0, 0]), addressBytes(target), ...rest);
export const redirect = (target: string, destination: string) =>
  icmpv6(137, RESERVED, addressBytes(target), addressBytes(destination));
/** For one group, as Linux sends it, also from the unspecified address. */
export const listenerReport = (group: string) =>
  options(0, icmpv6(143, Buffer.from([0, 0, 0, 1, 4, 0, 0, 0]), addressBytes(group)));
