import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { type Cidr, parseCidr } from "../../../util/cidr.ts";

/** The namespace of the thread, which is the node's own. */
const ROUTES = "/proc/thread-self/net/route";
/** <linux/route.h> */
const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;
/** A wider route on a link is a way out (a modem, a tunnel), and not a network of the node. */
const PREFIX_LENGTH_MIN = 8;

/** The IPv4 networks that this node is in at this moment. Takes 0.1 ms. */
export function readOwnNetworks(): readonly Cidr[] {
  return ownNetworksIn(readFileSync(ROUTES, "utf8"));
}

/** The networks that the main routing table, as the kernel prints it, reaches on a link without a gateway. */
export function ownNetworksIn(table: string): readonly Cidr[] {
  return table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, destination = "", , flagsText = "", , , , mask = ""] = line.trim().split(/\s+/);
      const flags = Number.parseInt(flagsText, 16);
      if ((flags & (RTF_UP | RTF_GATEWAY | RTF_REJECT)) !== RTF_UP) return [];
      const length = octets(mask).reduce((sum, octet) => sum + bitsIn(octet), 0);
      if (length < PREFIX_LENGTH_MIN) return [];
      return parseCidr(`${octets(destination).join(".")}/${length}`, 4) ?? [];
    });
}

/** A number in the byte order of the processor, whose bytes in memory are the address. */
function octets(hex: string): number[] {
  const bytes = Buffer.from(hex.padStart(8, "0"), "hex");
  return [...(endianness() === "LE" ? bytes.reverse() : bytes)];
}

function bitsIn(octet: number): number {
  return octet.toString(2).replaceAll("0", "").length;
}
