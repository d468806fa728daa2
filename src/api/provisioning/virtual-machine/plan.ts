import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type {
  VirtualMachine,
  VirtualMachineNIC,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import { IS_GATEWAY } from "../../core/annotations.ts";
import type { Reader } from "../../core/context.ts";
import { users } from "../../iam/user/collection.ts";
import { interfaces } from "../../network/interface/collection.ts";
import { cidrsOf, gatewayAddresses, getNetwork } from "../../network/network/network-record.ts";
import { getBlockStorage } from "../block-storage/block-storage-record.ts";
import type { Api } from "../context.ts";
import type { DomainShape, SeedContent } from "./domain-messages.ts";
import type { Tap } from "./tap-steps.ts";

/** A virtual machine in the words of its node: all that making or booting it needs. */
export interface Plan {
  readonly domain: DomainShape;
  readonly seed: SeedContent;
  readonly taps: readonly Tap[];
}

type PlanReader = Reader & Pick<Api, "nameservers">;

interface PlannedNic {
  readonly nic: VirtualMachineNIC;
  readonly network: Network;
  readonly tapName: string;
}

/** Reads what the node must be told; the interfaces are reserved and the disks claimed by now. */
export async function planOf(api: PlanReader, vm: VirtualMachine): Promise<Plan> {
  const volumeIds: string[] = [];
  for (const name of vm.blockStorageNames) {
    volumeIds.push((await getBlockStorage(api, name)).value.volumeId);
  }
  const nics: PlannedNic[] = [];
  for (const [i, nic] of vm.nics.entries()) {
    const network = (await getNetwork(api, nic.networkName)).value;
    const reserved = await api.records.find(
      interfaces,
      nic.networkName,
      vm.networkInterfaceNames[i] ?? "",
    );
    if (reserved === undefined) {
      throw new N0Error(
        "internal",
        `interface ${i} of virtual machine "${vm.name}" is not reserved`,
      );
    }
    nics.push({ nic, network, tapName: reserved.value.tapName });
  }
  return {
    domain: domainOf(vm, volumeIds, nics),
    seed: await seedOf(api, vm, nics),
    taps: nics.map((nic) => tapOf(vm, nic)),
  };
}

function domainOf(
  vm: VirtualMachine,
  volumeIds: readonly string[],
  nics: readonly PlannedNic[],
): DomainShape {
  return {
    nodeName: vm.computeNodeName,
    name: vm.name,
    uuid: vm.uuid,
    vcpus: vm.limitCpuMilliCore / 1000,
    cpuMilliCores: vm.requestCpuMilliCore,
    memoryBytes: vm.limitMemoryBytes.toString(),
    volumeIds,
    nics: nics.map(({ nic, tapName }) => ({ tapName, hardwareAddress: nic.hardwareAddress })),
  };
}

function tapOf(vm: VirtualMachine, { network, tapName }: PlannedNic): Tap {
  const cidrs = cidrsOf(network);
  const { ipv4Address, ipv6Address } = gatewayAddresses(cidrs);
  return {
    nodeName: vm.computeNodeName,
    tapName,
    name: vm.name,
    networkName: network.name,
    ipv4Gateway: withPrefix(ipv4Address, cidrs.ipv4?.prefixLength),
    ipv6Gateway: withPrefix(ipv6Address, cidrs.ipv6?.prefixLength),
  };
}

async function seedOf(
  api: PlanReader,
  vm: VirtualMachine,
  nics: readonly PlannedNic[],
): Promise<SeedContent> {
  const defaultRoute = defaultRouteOf(nics);
  return {
    nodeName: vm.computeNodeName,
    name: vm.name,
    instanceId: vm.instanceId,
    hostname: hostnameOf(vm.name),
    loginUsername: vm.loginUsername,
    sshAuthorizedKeys: [
      ...new Set([...vm.sshAuthorizedKeys, ...(await keysOf(api, vm.userNames))]),
    ],
    nics: nics.map(({ nic, network }, i) => {
      const cidrs = cidrsOf(network);
      const gateways = gatewayAddresses(cidrs);
      const isDefault = i === defaultRoute;
      return {
        hardwareAddress: nic.hardwareAddress,
        ipv4Address: withPrefix(nic.ipv4Address, cidrs.ipv4?.prefixLength),
        ipv6Address: withPrefix(nic.ipv6Address, cidrs.ipv6?.prefixLength),
        ipv4Gateway: isDefault && nic.ipv4Address !== "" ? gateways.ipv4Address : "",
        ipv6Gateway: isDefault && nic.ipv6Address !== "" ? gateways.ipv6Address : "",
        nameservers: isDefault ? api.nameservers : [],
        searchDomains: network.domain === "" ? [] : [network.domain],
      };
    }),
  };
}

/** The last nic that is annotated for it, else the first one that has an address: a gateway is reached by that. */
function defaultRouteOf(nics: readonly PlannedNic[]): number {
  const annotated = nics.findLastIndex(({ nic }) => nic.annotations[IS_GATEWAY] !== undefined);
  if (annotated !== -1) return annotated;
  const addressed = nics.findIndex(({ nic }) => nic.ipv4Address !== "" || nic.ipv6Address !== "");
  return Math.max(0, addressed);
}

/** @throws N0Error `failed_precondition` for a user that does not exist. */
export async function keysOf(api: Reader, userNames: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const [i, name] of userNames.entries()) {
    const stored = await api.records.find(users, name);
    if (stored === undefined) {
      const message = `user_names[${i}]: user "${name}" does not exist: create it first`;
      throw new N0Error("failed_precondition", message, { resource: `user/${name}` });
    }
    keys.push(...Object.values(stored.value.sshPublicKeys));
  }
  return keys;
}

function withPrefix(address: string, prefixLength: number | undefined): string {
  return address === "" || prefixLength === undefined ? "" : `${address}/${prefixLength}`;
}

/** A name may hold what a host name may not (RFC 1123). */
function hostnameOf(name: string): string {
  return name.replace(/[._]+/g, "-").replace(/-+$/, "");
}
