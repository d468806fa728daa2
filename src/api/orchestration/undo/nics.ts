import { clone } from "@bufbuild/protobuf";
import {
  type VirtualMachine,
  type VirtualMachineNIC,
  VirtualMachineNICSchema,
  VirtualMachineService,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { VIRTUAL_MACHINE_RESERVED_BY } from "../../../util/annotation-keys.ts";
import { ownInterfaceName } from "../../network/interface/names.ts";
import { networks } from "../../network/network/collection.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import { freeNumber, numberOfNic } from "../../provisioning/virtual-machine/nics/numbers.ts";
import type { Kept, Undo } from "./change.ts";
import { type Draft, draft } from "./draft.ts";

const { method } = VirtualMachineService;
const kind = virtualMachines.kind;

/** The nic of a request that gives it the same addresses again. */
export function nicInit(undo: Undo, nic: VirtualMachineNIC): VirtualMachineNIC {
  const copy = clone(VirtualMachineNICSchema, nic);
  delete copy.annotations[VIRTUAL_MACHINE_RESERVED_BY];
  const network = undo.before(networks, nic.networkName);
  Object.assign(copy, addressesNotWanted(network, nic));
  return copy;
}

/** `none` for a family that the network has and the interface does not: an empty field asks for an address. */
export function addressesNotWanted(
  network: { readonly ipv4Cidr: string; readonly ipv6Cidr: string } | undefined,
  { ipv4Address, ipv6Address }: Pick<VirtualMachineNIC, "ipv4Address" | "ipv6Address">,
) {
  return {
    ...(network?.ipv4Cidr && ipv4Address === "" ? { ipv4Address: "none" } : {}),
    ...(network?.ipv6Cidr && ipv6Address === "" ? { ipv6Address: "none" } : {}),
  };
}

/** Detaches the nics that were attached, changes those that stay, and attaches those that were detached. */
export function nicDrafts({ key, name, before, after }: Kept<VirtualMachine>, undo: Undo): Draft[] {
  const [was, is] = [before.networkInterfaceNames, after.networkInterfaceNames];
  const ref = virtualMachines.refOf(key);
  const left = is.filter((one) => was.includes(one));
  const drafts = is
    .filter((one) => !was.includes(one))
    .map((networkInterfaceName) =>
      draft(kind, method.detachNic, `${name}/${networkInterfaceName}`, {
        name,
        networkInterfaceName,
      }),
    );
  for (const one of left) {
    const [nic, now] = [before.nics[was.indexOf(one)]!, after.nics[is.indexOf(one)]!];
    drafts.push(...settings(name, one, nic, now));
  }
  for (const [i, one] of was.entries()) {
    if (is.includes(one)) continue;
    const number = freeNumber(ref, { ...after, networkInterfaceNames: left });
    if (number !== numberOfNic(ref, one)) {
      undo.refuse(
        `virtual machine "${name}" had the nic ${ownInterfaceName(one)}, and attached again it would be ${name}${number}`,
      );
    }
    left.push(one);
    const nic = nicInit(undo, before.nics[i]!);
    drafts.push(draft(kind, method.attachNic, `${name}/${one}`, { name, nic }));
  }
  return drafts;
}

const LIMITS = [
  "ingressBitsPerSecond",
  "ingressBurstBytes",
  "egressBitsPerSecond",
  "egressBurstBytes",
] as const;

function settings(
  name: string,
  networkInterfaceName: string,
  nic: VirtualMachineNIC,
  now: VirtualMachineNIC,
): Draft[] {
  const subject = `${name}/${networkInterfaceName}`;
  const of = { name, networkInterfaceName };
  const drafts: Draft[] = [];
  if (LIMITS.some((field) => nic[field] !== now[field])) {
    const limits = Object.fromEntries(LIMITS.map((field) => [field, nic[field]]));
    drafts.push(draft(kind, method.setNicLimits, subject, { ...of, ...limits }));
  }
  const { secondaryAddresses, allowedAddresses, securityGroups, securityGroupsOff } = nic;
  if (
    !isSameList(secondaryAddresses, now.secondaryAddresses) ||
    !isSameList(allowedAddresses, now.allowedAddresses)
  ) {
    const addresses = { secondaryAddresses, allowedAddresses };
    drafts.push(draft(kind, method.setNicAddresses, subject, { ...of, ...addresses }));
  }
  if (
    !isSameList(securityGroups, now.securityGroups) ||
    securityGroupsOff !== now.securityGroupsOff
  ) {
    const groups = { securityGroups, securityGroupsOff };
    drafts.push(draft(kind, method.setSecurityGroups, subject, { ...of, ...groups }));
  }
  return drafts;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.join("\n") === b.join("\n");
}
