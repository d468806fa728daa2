import { jsonCollection } from "../../../datastore/collection.ts";
import type { Annotations, Owned, UsedBy } from "../../core/reserved.ts";

/** Under network and interface name. */
export type InterfaceReservation = Owned & {
  readonly name: string;
  readonly annotations: Annotations;
  readonly hardwareAddress: string;
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  /** The node and the device of a virtual machine's nic; empty for others. */
  readonly nodeName: string;
  readonly tapName: string;
};
export const interfaces = jsonCollection<InterfaceReservation>("interface", { of: "network" });

/** By network; rewritten by each change of its interfaces, so that deleting it can be conditional. */
export const interfaceAllocations = jsonCollection<Record<string, never>>("interface_allocation", {
  of: "network",
});

/** Under network and address in canonical text. */
export const addresses = jsonCollection<UsedBy>("address", { of: "network" });
/** Under network and hardware address. */
export const hardwareAddresses = jsonCollection<UsedBy>("hardware_address", { of: "network" });
/** Under node and device name. Used by an interface, as `nameOnNode` names it. */
export const taps = jsonCollection<UsedBy>("tap");
