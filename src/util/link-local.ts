import { formatAddress } from "./cidr.ts";

/** The address that a guest forms of its hardware address (RFC 4291, appendix A). */
export function linkLocalAddress(hardwareAddress: string): string {
  const [first = 0, ...rest] = hardwareAddress.split(":").map((byte) => Number.parseInt(byte, 16));
  const bytes = [first ^ 0x02, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  const host = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return formatAddress((0xfe80n << 112n) | host, 6);
}
