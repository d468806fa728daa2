import { invalid } from "./errors.ts";
import { quote } from "./quote.ts";

const EXAMPLE = "such as 52:54:00:12:34:56";
/** IEEE 802 section 8.2: the group bit is the lowest one of the first octet. */
const GROUP_BIT = 1;

/**
 * A MAC address that one interface can have: six octets in hexadecimal with colons between.
 *
 * @param field named in the error, as the client spells it.
 * @returns it in lower case.
 * @throws N0Error `invalid_argument` for what is none, and for zero, broadcast and multicast addresses.
 */
export function parseHardwareAddress(field: string, text: string): string {
  const address = text.toLowerCase();
  const problem = problemOf(address);
  if (problem !== undefined) throw invalid(field, `${quote(text)} ${problem}`);
  return address;
}

function problemOf(address: string): string | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(address)) return `is no MAC address ${EXAMPLE}`;
  if (address === "00:00:00:00:00:00") return `is no interface's: take one ${EXAMPLE}`;
  if (address === "ff:ff:ff:ff:ff:ff") return `is the broadcast address: take one ${EXAMPLE}`;
  const isGroup = (Number.parseInt(address.slice(0, 2), 16) & GROUP_BIT) !== 0;
  return isGroup ? `is a multicast address: take one ${EXAMPLE}` : undefined;
}
