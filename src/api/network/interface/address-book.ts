import type { Datastore } from "../../../datastore/datastore.ts";
import { objectKey } from "../../../datastore/key.ts";
import {
  type AddressRange,
  highestOutside,
  parseAddressRange,
} from "../../../util/address-range.ts";
import {
  type Cidr,
  type Family,
  formatAddress,
  hostRange,
  isHost,
  parseAddress,
} from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Random } from "../../../util/random.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { Mirror } from "../../core/read/mirror.ts";
import { addressesOf, type InterfaceReservation, interfaces } from "./collection.ts";

/**
 * The used addresses of one family in one network. All addresses from above `highestFree` to `last` are used or
 * in a reserved range.
 */
interface Taken {
  /** The addresses with a record. */
  readonly written: Set<bigint>;
  /** The addresses of requests of this process that have not written them yet. */
  readonly chosen: Set<bigint>;
  /** The addresses that running requests of this process name, with the number of requests for each. */
  readonly asked: Map<bigint, number>;
  /** The last host address of the CIDR that this counts for. A network of this name may get another CIDR. */
  last: bigint;
  /** The reserved ranges of both families that this counts for, as text. A network may get others. */
  reservedText: string;
  /** Those of this family, the highest first. */
  reserved: readonly AddressRange[];
  highestFree: bigint;
  /** Where the search continues, because another process was faster. Undefined: at `highestFree`. */
  next: bigint | undefined;
}

/** Keeps an address from other requests of this process, until it is released or written. */
export interface ChosenAddress extends Disposable {
  readonly address: string;
}

/**
 * Knows the free addresses of the networks. It only chooses. The record that is put for an address makes sure
 * that only one interface has it.
 */
export class AddressBook implements Disposable {
  readonly #taken = new Map<string, Taken>();
  readonly #random: Pick<Random, "fraction">;
  #mirror!: Disposable;

  private constructor(random: Pick<Random, "fraction">) {
    this.#random = random;
  }

  static async open(datastore: Datastore, random: Pick<Random, "fraction">): Promise<AddressBook> {
    const book = new AddressBook(random);
    book.#mirror = await Mirror.open(datastore, interfaces, (key, before, after) => {
      const network = interfaces.refOf(key);
      for (const family of [4, 6] as const) {
        const is = new Set(numbersOf(after?.value, family));
        const taken = book.#takenIn(network, family);
        for (const was of numbersOf(before?.value, family)) {
          if (is.has(was)) continue;
          taken.written.delete(was);
          makeFree(taken, was);
        }
        for (const one of is) taken.written.add(one);
      }
    });
    return book;
  }

  /**
   * The highest free address of the network outside its reserved ranges. Users write low addresses down, so the
   * search rarely chooses one that a user asks for later.
   *
   * @param reservedRanges Those of the network, of both families.
   * @param besides Addresses that are known to be used, though they may not show here yet. If there are any,
   *   this search and later ones continue at a random address of the upper half, because the other process also
   *   looks for the highest one.
   * @param planned Of these, the first free one comes before all others.
   * @throws N0Error `resource_exhausted` if there is none.
   */
  choose(
    network: Ref,
    cidr: Cidr,
    reservedRanges: readonly string[],
    besides: ReadonlySet<string> = new Set(),
    planned: readonly string[] = [],
  ): ChosenAddress {
    const taken = this.#takenIn(network, cidr.family);
    const { first, last } = hostRange(cidr);
    searchIn(taken, cidr, reservedRanges);
    if (besides.size > 0) taken.next ??= this.#upperHalf(first, last);
    const isFree = (one: bigint) =>
      !taken.written.has(one) &&
      !taken.chosen.has(one) &&
      !taken.asked.has(one) &&
      (besides.size === 0 || !besides.has(formatAddress(one, cidr.family)));
    const isPlanned = (one: bigint) =>
      isHost(cidr, one) && highestOutside(one, one, taken.reserved, isFree) !== undefined;
    const address =
      planned.flatMap((text) => parseAddress(text, cidr.family) ?? []).find(isPlanned) ??
      (taken.next === undefined ? highest(taken, first, isFree) : next(taken, first, isFree));
    if (address === undefined) throw noneFree(network, cidr.family, taken);
    taken.chosen.add(address);
    return {
      address: formatAddress(address, cidr.family),
      [Symbol.dispose]: () => {
        taken.chosen.delete(address);
        makeFree(taken, address);
      },
    };
  }

  /**
   * Keeps a requested address from being chosen for others. Does not check whether it is free.
   *
   * @throws N0Error `aborted` when it has just been chosen for another request.
   */
  keep(network: Ref, family: Family, address: bigint): Disposable {
    const taken = this.#takenIn(network, family);
    if (taken.chosen.has(address)) {
      const text = formatAddress(address, family);
      throw new N0Error(
        "aborted",
        `network "${network.name}": address ${text} is being given to another interface: try again`,
        { resource: formatRef(network), retryAfterMs: 100 },
      );
    }
    taken.asked.set(address, (taken.asked.get(address) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = taken.asked.get(address)! - 1;
        if (left > 0) taken.asked.set(address, left);
        else taken.asked.delete(address);
        makeFree(taken, address);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#mirror[Symbol.dispose]();
  }

  #upperHalf(first: bigint, last: bigint): bigint {
    // As fine as a fraction can be. A larger network does not become that full soon.
    const steps = 1n << 32n;
    const step = BigInt(Math.floor(this.#random.fraction() * Number(steps)));
    return last - (((last - first) / 2n) * step) / steps;
  }

  #takenIn(network: Ref, family: Family): Taken {
    const key = `${objectKey(network)}/${family}`;
    let taken = this.#taken.get(key);
    if (taken === undefined) {
      taken = {
        written: new Set(),
        chosen: new Set(),
        asked: new Map(),
        last: 0n,
        reservedText: "",
        reserved: [],
        highestFree: 0n,
        next: undefined,
      };
      this.#taken.set(key, taken);
    }
    return taken;
  }
}

/** Begins again at the top if the CIDR or the ranges are others than in the last search. */
function searchIn(taken: Taken, cidr: Cidr, reservedRanges: readonly string[]): void {
  const { last } = hostRange(cidr);
  const reservedText = reservedRanges.join();
  if (taken.last === last && taken.reservedText === reservedText) return;
  const reserved = reservedRanges
    .map((text) => parseAddressRange(text)!)
    .filter(({ family }) => family === cidr.family)
    .sort((a, b) => (a.first < b.first ? 1 : -1));
  Object.assign(taken, { last, reservedText, reserved, highestFree: last, next: undefined });
}

function noneFree(network: Ref, family: Family, { reserved }: Taken): N0Error {
  const none = `network "${network.name}" has no free IPv${family} address`;
  const message =
    reserved.length === 0
      ? none
      : `${none} outside its reserved_ranges: ask for an address in one of them, or shorten them`;
  return new N0Error("resource_exhausted", message, { resource: formatRef(network) });
}

function highest(
  taken: Taken,
  first: bigint,
  isFree: (address: bigint) => boolean,
): bigint | undefined {
  const address = highestOutside(taken.highestFree, first, taken.reserved, isFree);
  taken.highestFree = address ?? first - 1n;
  return address;
}

/** The next lower address; after the lowest, the highest. */
function next(
  taken: Taken,
  first: bigint,
  isFree: (address: bigint) => boolean,
): bigint | undefined {
  const from = taken.next!;
  const { last, reserved } = taken;
  const address =
    highestOutside(from, first, reserved, isFree) ??
    highestOutside(last, from + 1n, reserved, isFree);
  if (address !== undefined) taken.next = address > first ? address - 1n : last;
  return address;
}

/** The address may still be in use in another way, which `choose` checks. */
function makeFree(taken: Taken, address: bigint): void {
  if (address <= taken.last && address > taken.highestFree) taken.highestFree = address;
}

function numbersOf(reserved: InterfaceReservation | undefined, family: Family): bigint[] {
  if (reserved === undefined) return [];
  return addressesOf(reserved).flatMap((text) => parseAddress(text, family) ?? []);
}
