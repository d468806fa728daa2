import type { Datastore } from "../../../datastore/datastore.ts";
import {
  type Cidr,
  type Family,
  formatAddress,
  hostRange,
  parseAddress,
} from "../../../util/cidr.ts";
import { N0Error } from "../../../util/errors.ts";
import { Mirror } from "../../core/read/mirror.ts";
import { interfaces } from "./collection.ts";

/** The addresses of one family that are taken in one network: all from above `highestFree` to `last` are. */
interface Taken {
  /** Held by a record. */
  readonly written: Set<bigint>;
  /** Given to a request of this process that has not written it yet. */
  readonly chosen: Set<bigint>;
  /** Asked for by name by requests of this process that are going on, and by how many. */
  readonly asked: Map<bigint, number>;
  /** The last host address of the CIDR that this was counted for; a network of this name may get another. */
  last: bigint;
  highestFree: bigint;
}

/** An address that nobody else of this process is given until it is let go, or written. */
export interface ChosenAddress extends Disposable {
  readonly address: string;
}

/**
 * Which addresses of the networks are free. It only chooses; that an address is had once is made sure
 * by the record that is put for it.
 */
export class AddressBook implements Disposable {
  readonly #taken = new Map<string, Taken>();
  #mirror!: Disposable;

  static async open(datastore: Datastore): Promise<AddressBook> {
    const book = new AddressBook();
    book.#mirror = await Mirror.open(datastore, interfaces, (key, before, after) => {
      const networkName = interfaces.parts(key)[0]!;
      for (const family of [4, 6] as const) {
        const was = before === undefined ? undefined : addressOf(before.value, family);
        const is = after === undefined ? undefined : addressOf(after.value, family);
        const taken = book.#takenIn(networkName, family);
        if (was !== undefined && was !== is) {
          taken.written.delete(was);
          makeFree(taken, was);
        }
        if (is !== undefined) taken.written.add(is);
      }
    });
    return book;
  }

  /**
   * The highest free address of the network. Users write down low ones, so that one of theirs is rarely given
   * away before they ask for it.
   *
   * @throws N0Error `resource_exhausted` when there is none.
   */
  choose(networkName: string, cidr: Cidr): ChosenAddress {
    const taken = this.#takenIn(networkName, cidr.family);
    const { first, last } = hostRange(cidr);
    if (taken.last !== last) Object.assign(taken, { last, highestFree: last });
    let address = taken.highestFree;
    while (taken.written.has(address) || taken.chosen.has(address) || taken.asked.has(address)) {
      address -= 1n;
    }
    taken.highestFree = address;
    if (address < first) {
      throw new N0Error(
        "resource_exhausted",
        `network "${networkName}" has no free IPv${cidr.family} address`,
        { resource: `network/${networkName}` },
      );
    }
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
   * Keeps an address that was asked for from being chosen for others. Whether it is free is not looked at.
   *
   * @throws N0Error `aborted` when it has just been chosen for another request.
   */
  keep(networkName: string, family: Family, address: bigint): Disposable {
    const taken = this.#takenIn(networkName, family);
    if (taken.chosen.has(address)) {
      const text = formatAddress(address, family);
      throw new N0Error(
        "aborted",
        `network "${networkName}": address ${text} is being given to another interface: try again`,
        { resource: `network/${networkName}`, retryAfterMs: 100 },
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

  #takenIn(networkName: string, family: Family): Taken {
    const key = `${networkName}/${family}`;
    let taken = this.#taken.get(key);
    if (taken === undefined) {
      taken = {
        written: new Set(),
        chosen: new Set(),
        asked: new Map(),
        last: 0n,
        highestFree: 0n,
      };
      this.#taken.set(key, taken);
    }
    return taken;
  }
}

/** It may still be taken in another way, which `choose` looks at. */
function makeFree(taken: Taken, address: bigint): void {
  if (address <= taken.last && address > taken.highestFree) taken.highestFree = address;
}

function addressOf(
  { ipv4Address, ipv6Address }: { ipv4Address: string; ipv6Address: string },
  family: Family,
): bigint | undefined {
  const text = family === 4 ? ipv4Address : ipv6Address;
  return text === "" ? undefined : parseAddress(text, family);
}
