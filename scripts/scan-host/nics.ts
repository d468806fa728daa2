import { partsOf } from "./domains.ts";
import type { Host, Place } from "./host.ts";
import type { Nic, VirtualMachineRecord } from "./records.ts";

/** A nic of a virtual machine of this host, with the tap that its domain names. */
export interface NicHere {
  readonly nic: Nic;
  readonly tap: string;
  readonly what: string;
  /** Whether its guest runs or is paused. */
  readonly isActive: boolean;
}

export function nicsHere(
  { prefix }: Pick<Place, "prefix">,
  { domains }: Pick<Host, "domains">,
  machines: readonly VirtualMachineRecord[],
): NicHere[] {
  return machines.flatMap((vm) => {
    const domain = domains[`${prefix}${vm.name}`];
    const parts = domain === undefined ? undefined : partsOf(domain);
    const isActive = domain?.state === "running" || domain?.state === "paused";
    return (vm.nics ?? []).map((nic) => {
      // A nic that came later may be elsewhere in the definition.
      const at = parts?.hardwareAddresses.indexOf(nic.hardware_address ?? "") ?? -1;
      const tap = parts?.taps[at] ?? "";
      return { nic, tap, what: `${vm.name}: ${nic.network_name}/${tap}`, isActive };
    });
  });
}
