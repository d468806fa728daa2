import { crc32 } from "node:zlib";

/** Linux refuses longer interface names (IFNAMSIZ is 16, with the terminating zero). */
const DEVICE_NAME_LENGTH_MAX = 15;
const DEVICE_NAME_HEAD_LENGTH = 10;

/**
 * The name of a network device made for `name`: its head and a 16-bit checksum, at most 15 bytes.
 * The same function as the original's: `net` → `net-15ff`, `test-network` → `test-netwo-c599`. The head is
 * for people; of a name with a scope it has the name.
 */
export function deviceName(name: string): string {
  const sum = (crc32(name) & 0xffff).toString(16).padStart(2, "0");
  const shown = name.slice(name.indexOf("~") + 1);
  const head =
    shown.length + 5 > DEVICE_NAME_LENGTH_MAX ? shown.slice(0, DEVICE_NAME_HEAD_LENGTH) : shown;
  return `${head}-${sum}`;
}

/**
 * The hardware address made for `id`: the prefix `52:54` and its CRC-32, as the original's.
 * `hogehoge` → `52:54:f5:8c:a4:f2`.
 */
export function hardwareAddress(id: string): string {
  const hex = (crc32(id) >>> 0).toString(16).padStart(8, "0");
  return `52:54:${hex.match(/../g)!.join(":")}`;
}

/**
 * The hardware address of a Network's bridge, which is its gateway's on every node. Always the same, so that
 * a guest's neighbour table stays right when the Network is made anew.
 */
export function bridgeHardwareAddress(networkName: string): string {
  return hardwareAddress(`network/${networkName}`);
}
