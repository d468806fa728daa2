export interface SeedNic {
  readonly hardwareAddress: string;
  /** With prefix length, such as `10.0.0.1/24`. Neither address: the nic is up, and no more. */
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  /** Set on the one nic that carries the default route. */
  readonly ipv4Gateway?: string;
  readonly ipv6Gateway?: string;
  readonly nameservers: readonly string[];
  readonly searchDomains: readonly string[];
}

/** What a guest is told at its first boot. */
export interface Seed {
  readonly instanceId: string;
  readonly hostname: string;
  /** Undefined: the image's own default user gets the keys. */
  readonly loginUsername?: string;
  readonly sshAuthorizedKeys: readonly string[];
  readonly nics: readonly SeedNic[];
}

/** Writes cloud-init NoCloud seeds: an ISO 9660 image labelled `cidata`. */
export interface SeedDriver {
  /** Writes the seed into `folder`, whole or not at all, and answers its path. Can be repeated. */
  ensure(folder: string, seed: Seed, signal: AbortSignal): Promise<string>;

  /**
   * What of the seed in `folder` says something else: names of its files, none where all is as in `seed`.
   * Undefined where there is no seed.
   */
  compare(folder: string, seed: Seed): Promise<readonly string[] | undefined>;

  /** The path of the seed in `folder`; undefined if there is none. */
  find(folder: string): Promise<string | undefined>;
}
