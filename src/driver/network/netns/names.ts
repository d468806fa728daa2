import { crc32 } from "node:zlib";
import { bridgeHardwareAddress, deviceName } from "../../../util/checksum.ts";
import { checkPrefix } from "../link-mark.ts";
import { NETNS_FOLDER } from "./namespace.ts";

/** The end of the uplink that is inside the namespace. */
export const UPLINK_INSIDE = "up0";

/** Upper half of the link group of everything that any instance makes: "n0". */
export const GROUP_HEAD = 0x6e300000;
export const GROUP_MASK = 0xffff0000;
/** The same of taps on their way out. */
const LEAVING_HEAD = 0x6e310000;

/** How one instance names and numbers its things on the node; two instances differ in the prefix. */
export interface Names {
  readonly prefix: string;
  /**
   * The link group of our links, and the tun group of our taps. It is there from the very making of a
   * device, where `ifalias` only comes after: it tells what an attempt that died in between has left.
   */
  readonly group: number;
  /** The link group of taps that are being removed together: so they can go at once. */
  readonly leavingGroup: number;
  /** The nft table in the node's own namespace. */
  readonly nodeTable: string;
  netnsName(networkName: string): string;
  netnsPath(networkName: string): string;
  bridge(networkName: string): string;
  bridgeAddress(networkName: string): string;
  /** The end of the uplink outside. Checksums may collide, so there is a next one to try. */
  uplinkOutside(networkName: string, attempt: number): string;
}

export function namesFor(prefix: string): Names {
  checkPrefix(prefix);
  const number = crc32(prefix) & 0xffff;
  return {
    prefix,
    group: GROUP_HEAD + number,
    leavingGroup: LEAVING_HEAD + number,
    nodeTable: `n0stack-${prefix}`,
    netnsName: (networkName) => `${prefix}${networkName}`,
    netnsPath: (networkName) => `${NETNS_FOLDER}/${prefix}${networkName}`,
    bridge: deviceName,
    bridgeAddress: bridgeHardwareAddress,
    uplinkOutside: (networkName, attempt) =>
      deviceName(`${prefix}${networkName}${attempt === 0 ? "" : `.${attempt}`}`),
  };
}
