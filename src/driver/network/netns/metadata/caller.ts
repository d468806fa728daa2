import { errorCode } from "../../../../util/errno.ts";
import { FILTERS } from "../change-filters.ts";
import { placeOf } from "../filter-elements.ts";
import { readLinkAt } from "../links.ts";
import type { Names } from "../names.ts";
import { deviceIndex } from "../namespace.ts";
import { hardwareAddressOf, portOf } from "../neighbours.ts";
import { elementComment } from "../nft-elements.ts";
import { isOurTap, markOfTap } from "../tap.ts";

/**
 * The owner of the tap behind which the address is, in this network. Undefined if the kernel has it behind anything
 * else, or if the filter of the tap does not let this address and this hardware address pass: then somebody else may
 * have sent what came from there.
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
  const family = address.includes(":") ? "ipv6" : "ipv4";
  const isOwn =
    (await mayBe(path, link.name, `macs ${hardwareAddress}`)) &&
    (await mayBe(path, link.name, `${family} ${address}`));
  return isOwn ? markOfTap(names, link).owner : undefined;
}

async function mayBe(path: string, tapName: string, element: string): Promise<boolean> {
  const { set, key } = placeOf(tapName, element);
  try {
    await elementComment(path, FILTERS, set, key);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
