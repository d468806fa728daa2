import { jsonCollection } from "../../../datastore/collection.ts";
import type { Annotations, Owned, UsedBy } from "../../core/reserved.ts";
import type { NicGroups } from "../security-group/names.ts";

/** Under network and interface name. */
export type InterfaceReservation = Owned & {
  readonly name: string;
  readonly annotations: Annotations;
  readonly hardwareAddress: string;
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  /** More addresses of a virtual machine's nic, of both families. */
  readonly secondaryAddresses?: readonly string[];
  /** Those that its guest may use, and others too. */
  readonly allowedAddresses?: readonly string[];
  /** The node and the device of a virtual machine's nic; empty for other interfaces. */
  readonly nodeName: string;
  readonly tapName: string;
  /** The PCI slot of a nic that was attached to a running virtual machine. Others have that of their number. */
  readonly pciSlot?: number;
  /**
   * The ids of the security groups of a virtual machine's nic, or `off`. Undefined from an older version: it is in
   * the group `default` of the project of its virtual machine.
   */
  readonly securityGroups?: NicGroups;
};
export const interfaces = jsonCollection<InterfaceReservation>("interface", { of: "network" });

/** By network. Each change of its interfaces rewrites it, so that deleting the network can have a condition. */
export const interfaceAllocations = jsonCollection<Record<string, never>>("interface_allocation", {
  of: "network",
});

/** Under network and address in canonical text. */
export const addresses = jsonCollection<UsedBy>("address", { of: "network" });
/** Under network and hardware address. */
export const hardwareAddresses = jsonCollection<UsedBy>("hardware_address", { of: "network" });
/** Under node and device name. `usedBy` is an interface, named by `nameOnNode`. */
export const taps = jsonCollection<UsedBy>("tap");

/** In a record. Most have none. */
export function allowedIn(allowedAddresses: readonly string[]) {
  return allowedAddresses.length === 0 ? {} : { allowedAddresses: [...allowedAddresses] };
}

/** All addresses from which the guest of the interface may speak. */
export function spokenAddresses(
  reserved: Parameters<typeof addressesOf>[0] & Pick<InterfaceReservation, "allowedAddresses">,
): string[] {
  return [...addressesOf(reserved), ...(reserved.allowedAddresses ?? [])];
}

/** The addresses that the interface alone has, for which it answers. */
export function addressesOf({
  ipv4Address,
  ipv6Address,
  secondaryAddresses = [],
}: Pick<InterfaceReservation, "ipv4Address" | "ipv6Address" | "secondaryAddresses">): string[] {
  return [ipv4Address, ipv6Address, ...secondaryAddresses].filter((address) => address !== "");
}
