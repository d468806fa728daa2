import { FILTERS } from "../change-filters.ts";
import { placeOf } from "../filter-elements.ts";
import { readLinkAt } from "../links.ts";
import type { Names } from "../names.ts";
import { deviceIndex } from "../namespace.ts";
import { addressBytes, hardwareAddressOf, portOf } from "../neighbours.ts";
import { hasElement, keysIn } from "../nft-elements.ts";
import { isSharedByNodes } from "../sharing.ts";
import { isOurTap, markOfTap } from "../tap.ts";

/**
 * The owner of the tap behind which the address is, in this network. Undefined if the kernel has it behind anything
 * else, or if the filter of the tap does not let this address and this hardware address pass: then somebody else may
 * have sent what came from there. Undefined also if others may have the address: it may be theirs before the answer
 * arrives.
 *
 * It asks the kernel each time. What is remembered could be of the former owner of an address.
 */
export async function callerAt(
  names: Names,
  networkName: string,
  address: string,
): Promise<string | undefined> {
  const path = names.netnsPath(networkName);
  const bridge = deviceIndex(path, names.bridge(networkName));
  if (bridge === undefined) return undefined;
  const hardwareAddress = await hardwareAddressOf(path, bridge, address);
  if (hardwareAddress === undefined) return undefined;
  const port = await portOf(path, bridge, hardwareAddress);
  const link = port === undefined ? undefined : await readLinkAt(path, port);
  if (link === undefined || !isOurTap(names, link)) return undefined;
  const set = address.includes(":") ? "ipv6" : "ipv4";
  const isOwn =
    (await passes(path, link.name, `macs ${hardwareAddress}`)) &&
    (await passes(path, link.name, `${set} ${address}`)) &&
    !(await isShared(path, set, address));
  return isOwn ? markOfTap(names, link).owner : undefined;
}

async function passes(path: string, tapName: string, element: string): Promise<boolean> {
  const { set, key } = placeOf(tapName, element);
  return await hasElement(path, FILTERS, set, key);
}

/** Whether the filter of another tap lets the address pass too, here or on another node (ADR 67). */
async function isShared(path: string, set: "ipv4" | "ipv6", address: string): Promise<boolean> {
  const bytes = addressBytes(address);
  const keys = await keysIn(path, FILTERS, set);
  // Somebody has changed the filters in the meantime: who asks again is answered.
  if (keys === undefined) return true;
  // The name of the tap comes first.
  const holders = keys.filter((key) => key.subarray(-bytes.length).equals(bytes));
  return holders.length > 1 || (await isSharedByNodes(path, address));
}
