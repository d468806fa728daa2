import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import type {
  VirtualMachine,
  VirtualMachineNIC,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { defined } from "../../../../util/defined.ts";
import { guestNameIn, hostnameOf } from "../../../../util/guest-name.ts";
import { type Ref } from "../../../../util/ref.ts";
import { IS_GATEWAY } from "../../../core/annotations.ts";
import { addressesOf, allowedIn } from "../../../network/interface/collection.ts";
import {
  cidrsOf,
  gatewayAddresses,
  type NetworkCidrs,
  partsOnNode,
  withPrefix,
} from "../../../network/network/record.ts";
import { nicGroups } from "../../../network/security-group/names.ts";
import { MTU_OF_ETHERNET, mtuOf } from "../../../network/segment/mtu.ts";
import { hasLimits, tapLimits } from "../nics/limits.ts";
import type { DomainShape, SeedContent } from "./domain-messages.ts";
import type { NicInput, PlanInput } from "./plan-input.ts";
import type { Tap, TapGuest } from "./tap-steps.ts";

/** A virtual machine in the terms of its node: everything that is needed to make or boot it. */
export interface Plan {
  readonly domain: DomainShape;
  readonly seed: SeedContent;
  readonly taps: readonly Tap[];
}

type PlannedNic = NicInput & { readonly nic: VirtualMachineNIC };

/** @param input May hold the volumes of more block storages than the virtual machine has. */
export function planOf(ref: Ref, vm: VirtualMachine, input: PlanInput): Plan {
  const nics = input.nics.map((read, i) => ({ ...read, nic: vm.nics[i]! }));
  return {
    domain: domainOf(ref, vm, input, nics),
    seed: seedOf(ref, vm, input, nics),
    taps: nics.map((nic) => tapOf(ref, vm, nic)),
  };
}

export function tapsOf(ref: Ref, vm: VirtualMachine, nics: readonly NicInput[]): Tap[] {
  return nics.map((nic, i) => tapOf(ref, vm, { ...nic, nic: vm.nics[i]! }));
}

function domainOf(
  ref: Ref,
  vm: VirtualMachine,
  { volumeIds }: PlanInput,
  nics: readonly PlannedNic[],
): DomainShape {
  return {
    nodeName: vm.computeNodeName,
    ref,
    uuid: vm.uuid,
    vcpus: vm.limitCpuMilliCore / 1000,
    cpuMilliCores: vm.requestCpuMilliCore,
    memoryBytes: vm.limitMemoryBytes.toString(),
    volumeIds: vm.blockStorageNames.map((name) => volumeIdOf(name, volumeIds)),
    nics: nics.map(({ nic, network, tapName, pciSlot }) => {
      const { hardwareAddress } = nic;
      return { tapName, hardwareAddress, pciSlot, ...announcedMtu(network) };
    }),
  };
}

/** A guest expects the size of Ethernet by itself. */
function announcedMtu(network: Network): { readonly mtu?: number } {
  const mtu = mtuOf(network);
  return mtu === MTU_OF_ETHERNET ? {} : { mtu };
}

function tapOf(
  ref: Ref,
  vm: VirtualMachine,
  { ref: networkRef, network, tapName, nic }: PlannedNic,
): Tap {
  const limits = tapLimits(nic);
  return {
    nodeName: vm.computeNodeName,
    tapName,
    ref,
    network: networkRef,
    ...partsOnNode(network),
    entry: guestOf(ref, networkRef, nic),
    identity: {
      hardwareAddress: nic.hardwareAddress,
      addresses: addressesOf(nic),
      ...allowedIn(nic.allowedAddresses),
    },
    ...(hasLimits(limits) ? { limits } : {}),
    groups: nicGroups(ref, nic),
  };
}

function guestOf(
  ref: Ref,
  network: Ref,
  { hardwareAddress, ipv4Address, ipv6Address }: VirtualMachineNIC,
): TapGuest {
  return { hardwareAddress, name: guestNameIn(network, ref), ipv4Address, ipv6Address };
}

function volumeIdOf(name: string, volumeIds: PlanInput["volumeIds"]): string {
  const id = volumeIds.get(name);
  if (id === undefined) throw new Error(`the volume of block storage "${name}" was not read`);
  return id;
}

function seedOf(
  ref: Ref,
  vm: VirtualMachine,
  { userKeys, nameservers, userDataSha256 }: PlanInput,
  nics: readonly PlannedNic[],
): SeedContent {
  const defaultRoute = defaultRouteOf(nics);
  return {
    nodeName: vm.computeNodeName,
    ref,
    instanceId: vm.instanceId,
    hostname: vm.hostname || hostnameOf(vm.name),
    loginUsername: vm.loginUsername,
    sshAuthorizedKeys: [...new Set([...vm.sshAuthorizedKeys, ...userKeys])],
    ...defined({ userDataSha256 }),
    nics: nics.map(({ nic, network }, i) => {
      const cidrs = cidrsOf(network);
      const gateways = gatewayAddresses(cidrs);
      const isDefault = i === defaultRoute;
      return {
        hardwareAddress: nic.hardwareAddress,
        ipv4Address: withPrefix(nic.ipv4Address, cidrs.ipv4),
        ipv6Address: withPrefix(nic.ipv6Address, cidrs.ipv6),
        ...(nic.secondaryAddresses.length === 0
          ? {}
          : { secondaryAddresses: secondaryOf(nic, cidrs) }),
        ipv4Gateway: isDefault && nic.ipv4Address !== "" ? gateways.ipv4Address : "",
        ipv6Gateway: isDefault && nic.ipv6Address !== "" ? gateways.ipv6Address : "",
        nameservers: isDefault ? [...resolversOf(nic, gateways), ...nameservers] : [],
        searchDomains: network.domain === "" ? [] : [network.domain],
        ...announcedMtu(network),
      };
    }),
  };
}

function secondaryOf({ secondaryAddresses }: VirtualMachineNIC, cidrs: NetworkCidrs): string[] {
  return secondaryAddresses.map((address) =>
    withPrefix(address, address.includes(":") ? cidrs.ipv6 : cidrs.ipv4),
  );
}

/**
 * DNS of the network, which knows the names in it and asks others for the rest. The nameservers of the API follow,
 * for a node whose agent has no DNS.
 */
function resolversOf(
  { ipv4Address, ipv6Address }: VirtualMachineNIC,
  gateways: ReturnType<typeof gatewayAddresses>,
): string[] {
  if (ipv4Address !== "") return [gateways.ipv4Address];
  return ipv6Address === "" ? [] : [gateways.ipv6Address];
}

/** The last nic with the annotation for it, otherwise the first one with an address, which a gateway needs. */
function defaultRouteOf(nics: readonly PlannedNic[]): number {
  const annotated = nics.findLastIndex(({ nic }) => nic.annotations[IS_GATEWAY] !== undefined);
  if (annotated !== -1) return annotated;
  const addressed = nics.findIndex(({ nic }) => nic.ipv4Address !== "" || nic.ipv6Address !== "");
  return Math.max(0, addressed);
}
