import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import type { Ref } from "../../../../util/ref.ts";
import { ownInterfaceName } from "../../../network/interface/names.ts";

/** As many as a request to create one may have. */
export const NICS_MAX = 16;

/** The first one after the controllers and the screen of QEMU's machine type `pc`. */
const SLOT_MIN = 3;
const SLOT_MAX = 31;
/** The random number generator. */
const OTHER_DEVICES = 1;

/**
 * The name of a nic's interface is that of its virtual machine with a number. It never changes, whichever other
 * nics come and go, while its place in the list may.
 */
export function numberOfNic({ name }: Ref, interfaceName: string): number {
  const number = Number(ownInterfaceName(interfaceName).slice(name.length));
  return Number.isInteger(number) && number >= 0 && number < NICS_MAX ? number : 0;
}

/** The lowest that no nic has. */
export function freeNumber(
  ref: Ref,
  { networkInterfaceNames }: Pick<VirtualMachine, "networkInterfaceNames">,
): number {
  const taken = new Set(networkInterfaceNames.map((name) => numberOfNic(ref, name)));
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

/**
 * The slot of a nic that its virtual machine was made with. libvirt would choose the same ones: network cards
 * come first.
 */
export function slotOfNumber(number: number): number {
  return SLOT_MIN + number;
}

/**
 * A slot for a nic of a running virtual machine. libvirt gives its disks the lowest free ones, so this is the
 * highest one that no nic has.
 *
 * @param nicSlots Those of its nics.
 * @returns undefined if its devices may fill the bus.
 */
export function freeSlot(nicSlots: readonly number[], diskCount: number): number | undefined {
  const deviceCount = nicSlots.length + diskCount + OTHER_DEVICES;
  if (deviceCount > SLOT_MAX - SLOT_MIN) return undefined;
  let slot = SLOT_MAX;
  while (nicSlots.includes(slot)) slot--;
  return slot;
}
