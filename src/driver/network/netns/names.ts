import { crc32 } from "node:zlib";
import { bridgeHardwareAddress, deviceName } from "../../../util/checksum.ts";
import { checkPrefix } from "../link-mark.ts";
import { NETNS_FOLDER } from "./namespace.ts";

/** The name of the uplink's inner end, inside of the namespace. */
export const UPLINK_INSIDE = "up0";

/** The name of the VXLAN device in the namespace of a network. */
export const SEGMENT_DEVICE = "vx0";

/** The name of the device in the namespace of a network that leads to its VLAN. */
export const EXTERNAL_DEVICE = "vl0";

/** The upper half of the link group of everything that any instance makes: "n0". */
export const GROUP_HEAD = 0x6e300000;
export const GROUP_MASK = 0xffff0000;
/** The same for taps that are being removed. */
const LEAVING_HEAD = 0x6e310000;

/** The names and numbers of one instance's things on the node. Two instances differ in the prefix. */
export interface Names {
  readonly prefix: string;
  /**
   * The link group of our links, and the tun group of our taps. A device has it from its making, and gets
   * `ifalias` only later. So it identifies what an attempt that died in between has left.
   */
  readonly group: number;
  /** The link group of taps that are being removed together, so that the kernel can remove them at once. */
  readonly leavingGroup: number;
  /** The nft table in the node's own namespace. */
  readonly nodeTable: string;
  /** Another one there: who may send packets of segments. */
  readonly segmentTable: string;
  netnsName(networkName: string): string;
  netnsPath(networkName: string): string;
  bridge(networkName: string): string;
  bridgeAddress(networkName: string): string;
  /** The name of the uplink's outer end. Checksums may collide, so each attempt has another name. */
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
    segmentTable: `n0segments-${prefix}`,
    netnsName: (networkName) => `${prefix}${networkName}`,
    netnsPath: (networkName) => `${NETNS_FOLDER}/${prefix}${networkName}`,
    bridge: deviceName,
    bridgeAddress: bridgeHardwareAddress,
    uplinkOutside: (networkName, attempt) =>
      deviceName(`${prefix}${networkName}${attempt === 0 ? "" : `.${attempt}`}`),
  };
}
