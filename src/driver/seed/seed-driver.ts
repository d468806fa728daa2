export interface SeedNic {
  readonly hardwareAddress: string;
  /** With prefix length, such as `10.0.0.1/24`. Without any address, the nic is only set up. */
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  /** More addresses, with prefix length. */
  readonly secondaryAddresses?: readonly string[];
  /** Set for the one nic that carries the default route. */
  readonly ipv4Gateway?: string;
  readonly ipv6Gateway?: string;
  readonly nameservers: readonly string[];
  readonly searchDomains: readonly string[];
  /** The largest packet. Undefined: that of Ethernet. */
  readonly mtu?: number;
}

/** The settings that a guest reads at its first boot. */
export interface Seed {
  readonly instanceId: string;
  readonly hostname: string;
  /** Undefined: the default user of the image gets the keys. */
  readonly loginUsername?: string;
  readonly sshAuthorizedKeys: readonly string[];
  readonly nics: readonly SeedNic[];
  /** What the user adds. It may hold secrets. */
  readonly userData?: string;
}

/** A seed as it must be, without the user data itself. */
export type ExpectedSeed = Omit<Seed, "userData"> & {
  /** Of the user data, in hexadecimal. Undefined for none. */
  readonly userDataSha256?: string;
};

/** Writes cloud-init NoCloud seeds: an ISO 9660 image labelled `cidata`. */
export interface SeedDriver {
  /** Writes the seed into `folder`, whole or not at all, and returns its path. Can be repeated. */
  ensure(folder: string, seed: Seed, signal: AbortSignal): Promise<string>;

  /**
   * The names of the files in the seed of `folder` that differ from `seed`; empty if all are equal. Undefined
   * if there is no seed.
   */
  compare(folder: string, seed: ExpectedSeed): Promise<readonly string[] | undefined>;

  /** The seed in `folder`; undefined if there is none, or a damaged one. */
  read(folder: string): Promise<Seed | undefined>;

  /** The path of the seed in `folder`; undefined if there is none. */
  find(folder: string): Promise<string | undefined>;
}
