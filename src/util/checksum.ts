import { crc32 } from "node:zlib";

/** Linux refuses longer interface names (IFNAMSIZ is 16, with the terminating zero). */
const DEVICE_NAME_LENGTH_MAX = 15;
const DEVICE_NAME_HEAD_LENGTH = 10;

/**
 * The name of a network device for `name`: its head and a 16-bit checksum, at most 15 bytes. The original has
 * the same function: `net` → `net-15ff`, `test-network` → `test-netwo-c599`. People read the head; for a name
 * with a scope, the head is taken from the name.
 */
export function deviceName(name: string): string {
  const sum = (crc32(name) & 0xffff).toString(16).padStart(2, "0");
  const shown = name.slice(name.indexOf("~") + 1);
  const head =
    shown.length + 5 > DEVICE_NAME_LENGTH_MAX ? shown.slice(0, DEVICE_NAME_HEAD_LENGTH) : shown;
  return `${head}-${sum}`;
}

/**
 * The hardware address for `id`: the prefix `52:54` and its CRC-32, as in the original. `hogehoge` →
 * `52:54:f5:8c:a4:f2`.
 */
export function hardwareAddress(id: string): string {
  const hex = (crc32(id) >>> 0).toString(16).padStart(8, "0");
  return `52:54:${hex.match(/../g)!.join(":")}`;
}

/**
 * The hardware address of the bridge of a network, and so of its gateway on every node. It never changes, so
 * that the neighbour table of a guest stays right when the network is made again.
 */
export function bridgeHardwareAddress(networkName: string): string {
  return hardwareAddress(`network/${networkName}`);
}
