import { invalid } from "./errors.ts";
import { quote } from "./quote.ts";

const EXAMPLE = "such as 52:54:00:12:34:56";
/** IEEE 802 section 8.2: the group bit is the lowest one of the first octet. */
const GROUP_BIT = 1;

/**
 * Parses a MAC address that one interface can have: six octets in hexadecimal, separated by colons.
 *
 * @param field The name of the field, for the error, as the client spells it.
 * @returns the address in lower case.
 * @throws N0Error `invalid_argument` for any other text, and for zero, broadcast and multicast addresses.
 */
export function parseHardwareAddress(field: string, text: string): string {
  const address = text.toLowerCase();
  const problem = problemOf(address);
  if (problem !== undefined) throw invalid(field, `${quote(text)} ${problem}`);
  return address;
}

function problemOf(address: string): string | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(address)) return `is not a MAC address ${EXAMPLE}`;
  if (address === "00:00:00:00:00:00") return `is the zero address: use one ${EXAMPLE}`;
  if (address === "ff:ff:ff:ff:ff:ff") return `is the broadcast address: use one ${EXAMPLE}`;
  const isGroup = (Number.parseInt(address.slice(0, 2), 16) & GROUP_BIT) !== 0;
  return isGroup ? `is a multicast address: use one ${EXAMPLE}` : undefined;
}
