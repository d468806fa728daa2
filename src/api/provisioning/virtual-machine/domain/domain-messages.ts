import { nameOnNode, type Ref } from "../../../../util/ref.ts";
/** A virtual machine on its node. */
export type DomainPlace = { readonly nodeName: string; readonly ref: Ref };

/** The parts of a domain. Byte counts are decimal. */
export type DomainShape = DomainPlace & {
  readonly uuid: string;
  readonly vcpus: number;
  readonly cpuMilliCores: number;
  readonly memoryBytes: string;
  readonly volumeIds: readonly string[];
  readonly nics: readonly DomainNic[];
};

export type DomainNic = {
  readonly tapName: string;
  readonly hardwareAddress: string;
  /** An input of an older version has none, and its node chooses a free one. */
  readonly pciSlot?: number;
  /** The largest packet of the guest, if it is not that of Ethernet. */
  readonly mtu?: number;
};

/** The data that the guest reads when it boots. */
export type SeedContent = DomainPlace & {
  readonly instanceId: string;
  readonly hostname: string;
  readonly loginUsername: string;
  readonly sshAuthorizedKeys: readonly string[];
  /** Of its user data, which the steps read when they act. */
  readonly userDataSha256?: string;
  readonly nics: readonly {
    readonly hardwareAddress: string;
    readonly ipv4Address: string;
    readonly ipv6Address: string;
    readonly ipv4Gateway: string;
    readonly ipv6Gateway: string;
    readonly nameservers: readonly string[];
    readonly searchDomains: readonly string[];
    readonly mtu?: number;
    /** With prefix length. */
    readonly secondaryAddresses?: readonly string[];
  }[];
};

/** The content, for a request to the node. */
export function seedMessage({ nodeName: _, ref, nics, sshAuthorizedKeys, ...rest }: SeedContent) {
  return {
    ...rest,
    name: nameOnNode(ref),
    sshAuthorizedKeys: [...sshAuthorizedKeys],
    nics: nics.map(({ secondaryAddresses = [], ...nic }) => ({
      ...nic,
      secondaryAddresses: [...secondaryAddresses],
      nameservers: [...nic.nameservers],
      searchDomains: [...nic.searchDomains],
    })),
  };
}

/** The shape, for a request to the node. */
export function domainMessage({
  nodeName: _,
  ref,
  memoryBytes,
  volumeIds,
  nics,
  ...rest
}: DomainShape) {
  return {
    ...rest,
    name: nameOnNode(ref),
    memoryBytes: BigInt(memoryBytes),
    volumeIds: [...volumeIds],
    nics: nics.map((nic) => ({ ...nic })),
  };
}
