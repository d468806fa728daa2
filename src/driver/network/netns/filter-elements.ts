import { canonicalAddress, parseAddress } from "../../../util/cidr.ts";
import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { linkLocalAddress } from "../../../util/link-local.ts";
import type { PortFilter } from "../network-survey.ts";
import {
  asOwn,
  checkIdentity,
  familyOf,
  identityText,
  type PortIdentity,
} from "../port-identity.ts";
import { FILTER_TABLE } from "./filter-table.ts";
import type { ElementChange } from "./nft-elements.ts";

/** nft keeps at most 128 bytes. */
const COMMENT_CHARACTERS_MAX = 120;
/** The options of neighbor discovery for the address of the source and of the target, each 8 bytes long. */
const LINK_LAYER_OPTIONS = ["0101", "0201"] as const;

/** An element without the name of its port, such as `ipv4 10.0.0.1`; for a port alone, `ports`. */
type Element = string;

/** The elements of each port, by its name. */
export type Elements = ReadonlyMap<string, ReadonlySet<Element>>;

/** All elements for a guest with this identity. */
export function elementsOf(identity: PortIdentity): readonly Element[] {
  const { hardwareAddress, addresses } = asOwn(identity);
  const own6 = [linkLocalAddress(hardwareAddress)];
  const own4: string[] = [];
  for (const address of addresses) (familyOf(address) === 4 ? own4 : own6).push(address);
  const digits = hardwareAddress.replaceAll(":", "");
  return [
    "ports",
    `macs ${hardwareAddress}`,
    ...own4.map((address) => `ipv4 ${address}`),
    ...new Set(own6.flatMap((address) => [`ipv6 ${address}`, `targets ${numberOf(address)}`])),
    ...LINK_LAYER_OPTIONS.map((head) => `options ${hex(BigInt(`0x${head}${digits}`))}`),
  ];
}

/**
 * The changes that make the elements of a port. The comment of the port is its identity, if that is short
 * enough, so that a removal need not read the elements of all ports.
 *
 * @param verb With `create`, the kernel refuses a port that exists, and then does nothing.
 */
export function additions(
  verb: "add" | "create",
  portName: string,
  identity: PortIdentity,
): ElementChange[] {
  return elementsOf(identity).map((element) =>
    element === "ports"
      ? { verb, ...placeOf(portName, element), ...defined({ comment: commentFor(identity) }) }
      : { verb: "add", ...placeOf(portName, element) },
  );
}

/** The changes that remove these elements of a port. The kernel refuses them if one does not exist. */
export function removals(portName: string, elements: Iterable<Element>): ElementChange[] {
  return [...elements].map((element) => ({ verb: "delete", ...placeOf(portName, element) }));
}

/** The additions as commands of nft. */
export function additionsText(portName: string, identity: PortIdentity): string {
  const comment = commentFor(identity);
  const lines = elementsOf(identity).map((element) => {
    const [set = "", value] = element.split(" ");
    const note = comment === undefined ? "" : ` comment "${comment}"`;
    const key = value === undefined ? `"${portName}"${note}` : `"${portName}" . ${value}`;
    return `add element bridge ${FILTER_TABLE} ${set} { ${key} }\n`;
  });
  return lines.join("");
}

function commentFor(identity: PortIdentity): string | undefined {
  const text = identityText(identity);
  return text.length > COMMENT_CHARACTERS_MAX ? undefined : text;
}

/** The set of the element, and its key: the name of the port, which fills IFNAMSIZ, and the value. */
export function placeOf(portName: string, element: Element): { set: string; key: Buffer } {
  const [set = "", value] = element.split(" ");
  return { set, key: Buffer.concat([portKey(portName), valueBytes(set, value)]) };
}

export function portKey(portName: string): Buffer {
  const name = Buffer.alloc(16);
  name.write(portName);
  return name;
}

function valueBytes(set: string, value = ""): Buffer {
  switch (set) {
    case "macs":
      // Fills two words.
      return Buffer.from(`${value.replaceAll(":", "")}0000`, "hex");
    case "ipv4":
      return bytes(parseAddress(value, 4) ?? 0n, 4);
    case "ipv6":
      return bytes(parseAddress(value, 6) ?? 0n, 16);
    case "targets":
      return bytes(BigInt(value), 16);
    case "options":
      return bytes(BigInt(value), 8);
    default:
      return Buffer.alloc(0);
  }
}

function bytes(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex");
}

/** The identity that the comment of a port says. */
export function identityIn(comment: string | undefined): PortIdentity | undefined {
  const [hardwareAddress = "", ...addresses] = comment?.split(" ") ?? [];
  return validOrUndefined({ hardwareAddress, addresses });
}

const SET = /\n\tset (\w+) \{[^{}]*?\n\t\telements = \{([^}]*)\}/g;
const ELEMENTS = /\n\t\telements = \{[^}]*\}/g;

/** nft's listing of the table as it would be without elements. */
export function withoutElements(listing: string): string {
  return listing.replaceAll(ELEMENTS, "");
}

/** The elements in nft's listing of the table. */
export function elementsIn(listing: string): Elements {
  const found = new Map<string, Set<Element>>();
  for (const [, set = "", list = ""] of listing.matchAll(SET)) {
    for (const item of list.split(",")) {
      const [, portName, value] = /^\s*"([^"]*)"(?: \. (\S+))?/.exec(item) ?? [];
      if (portName === undefined) continue;
      const elements = found.get(portName) ?? new Set();
      found.set(
        portName,
        elements.add(value === undefined ? set : `${set} ${valueIn(set, value)}`),
      );
    }
  }
  return found;
}

/** The filter of a port with these elements. */
export function filterOf(elements: ReadonlySet<Element> | undefined): PortFilter {
  if (elements === undefined || elements.size === 0) return { state: "absent" };
  const valuesOf = (set: string) =>
    [...elements]
      .filter((one) => one.startsWith(`${set} `))
      .map((one) => one.slice(set.length + 1));
  const [hardwareAddress, ...others] = valuesOf("macs");
  if (hardwareAddress === undefined || others.length > 0) return { state: "altered" };
  const addresses = [...valuesOf("ipv4"), ...valuesOf("ipv6")];
  const linkLocal = linkLocalAddress(hardwareAddress);
  const identity = validOrUndefined({
    hardwareAddress,
    addresses: addresses.filter((address) => address !== linkLocal),
  });
  if (identity === undefined) return { state: "altered" };
  const wanted = new Set(elementsOf(identity));
  const isWhole = wanted.size === elements.size && [...wanted].every((one) => elements.has(one));
  return isWhole ? { state: "whole", identity } : { state: "altered" };
}

function validOrUndefined(identity: PortIdentity): PortIdentity | undefined {
  try {
    return checkIdentity(identity);
  } catch (error) {
    if (error instanceof N0Error) return undefined;
    throw error;
  }
}

/** In the form of `elementsOf`. */
function valueIn(set: string, value: string): string {
  if (set === "ipv6") return canonicalAddress(value);
  if ((set === "targets" || set === "options") && /^(0x[0-9a-f]+|\d+)$/.test(value)) {
    return hex(BigInt(value));
  }
  return value;
}

export function numberOf(ipv6: string): string {
  return hex(parseAddress(ipv6, 6) ?? 0n);
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
