import type { Stored } from "../../../datastore/records.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import {
  type Cidr,
  type Family,
  formatAddress,
  formatCidr,
  isHost,
  parseAddress,
} from "../../../util/cidr.ts";
import { invalid } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { currentTask } from "../../core/saga/ambient.ts";
import type { Api } from "../context.ts";
import { networks } from "../network/collection.ts";
import { cidrsOf } from "../network/record.ts";

/** A nic requests this instead of an address to get no address of a family. */
export const NO_ADDRESS = "none";
/** A nic requests this as a secondary address to get the highest free one of the family. */
const ANY_ADDRESS: ReadonlyMap<string, Family> = new Map([
  ["ipv4", 4],
  ["ipv6", 6],
]);

/** Whether a request leaves the address open, or wants none. */
export function isNoAddress(asked: string): boolean {
  return asked === "" || asked === NO_ADDRESS || ANY_ADDRESS.has(asked);
}

/** The family of a secondary address that somebody asks for. */
export function familyAsked(asked: string): Family {
  return ANY_ADDRESS.get(asked) ?? (asked.includes(":") ? 6 : 4);
}

export interface AddressChooserOptions {
  readonly network: Pick<Stored<Network>, "key" | "value">;
  /** The name of the network in messages. */
  readonly shownName: string;
  /** Addresses that must not be chosen, because others have them. */
  readonly taken: ReadonlySet<string>;
}

/** Chooses addresses of one network, and keeps them from other requests until it is disposed of. */
export class AddressChooser implements Disposable {
  readonly #api: Pick<Api, "addressBook">;
  readonly #options: AddressChooserOptions;
  readonly #stack = new DisposableStack();

  constructor(api: Pick<Api, "addressBook">, options: AddressChooserOptions) {
    this.#api = api;
    this.#options = options;
  }

  /** The first address of a family. Empty for none. @throws N0Error `invalid_argument`; see `AddressBook`. */
  first(field: string, family: Family, asked: string): string {
    if (asked === NO_ADDRESS) return "";
    if (asked !== "") return this.#check(field, family, asked, ` nor "${NO_ADDRESS}"`);
    const cidr = this.#cidr(family);
    return cidr === undefined ? "" : this.#any(cidr);
  }

  /** @throws N0Error `invalid_argument`; see `AddressBook`. */
  secondary(field: string, asked: string): string {
    const family = familyAsked(asked);
    if (!ANY_ADDRESS.has(asked)) {
      return this.#check(field, family, asked, `, "ipv4" nor "ipv6"`);
    }
    return this.#any(this.#cidr(family) ?? this.#throwNoCidr(field, family));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #cidr(family: Family): Cidr | undefined {
    return cidrsOf(this.#options.network.value)[`ipv${family}`];
  }

  #any(cidr: Cidr): string {
    const { network, shownName, taken } = this.#options;
    const { reservedRanges } = network.value;
    const { addressBook } = this.#api;
    const ref = networks.refOf(network.key);
    const planned = (currentTask()?.place?.addresses ?? [])
      .filter((one) => one.network === shownName)
      .map(({ address }) => address);
    return this.#stack.use(addressBook.choose(ref, cidr, reservedRanges, taken, planned)).address;
  }

  #check(field: string, family: Family, asked: string, others: string): string {
    const { network, shownName } = this.#options;
    const cidr = this.#cidr(family) ?? this.#throwNoCidr(field, family);
    const address = parseAddress(asked, family);
    if (address === undefined) {
      throw invalid(field, `${quote(asked)} is neither an IPv${family} address${others}`);
    }
    if (!isHost(cidr, address)) {
      throw invalid(
        field,
        `${asked} is not a host address of ${formatCidr(cidr)}, network "${shownName}"`,
      );
    }
    this.#stack.use(this.#api.addressBook.keep(networks.refOf(network.key), family, address));
    return formatAddress(address, family);
  }

  #throwNoCidr(field: string, family: Family): never {
    throw invalid(field, `network "${this.#options.shownName}" has no ipv${family}_cidr`);
  }
}
