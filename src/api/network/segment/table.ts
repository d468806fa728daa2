import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Stored } from "../../../datastore/records.ts";
import type { PushedSegmentSchema } from "../../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { defined } from "../../../util/defined.ts";
import { guestNameIn } from "../../../util/guest-name.ts";
import { nameOnNode, parseRef, type Ref } from "../../../util/ref.ts";
import { addressesOf, type InterfaceReservation } from "../interface/collection.ts";
import { mtuOf } from "./mtu.ts";

/** A network on fewer nodes has nobody to reach elsewhere. */
const NODES_MIN = 2;

/** How much a node has of a table. */
export interface Link {
  /** The generation that the node has; undefined: send all. */
  base: number | undefined;
  /** The names of the interfaces that have changed since. */
  changed: Set<string>;
}

/** Who is where in one network. It is a function of the records alone. */
export class Table {
  readonly ref: Ref;
  /** The revision of the last change. */
  generation: number;
  #network: Pick<Network, "vni" | "mtu" | "isolated"> | undefined;
  readonly #members = new Map<string, InterfaceReservation>();
  /** The number of interfaces on each node. */
  readonly #onNode = new Map<string, number>();
  /** The nodes that have the table, or may have it. */
  readonly links = new Map<string, Link>();
  /** The nodes that are known to have nothing of it. Others may have what an earlier process told them. */
  readonly #without = new Set<string>();

  constructor(ref: Ref, generation: number) {
    this.ref = ref;
    this.generation = generation;
  }

  /** Nobody asks for it any more. */
  get isEmpty(): boolean {
    return this.#network === undefined && this.#members.size === 0 && this.links.size === 0;
  }

  get members(): readonly InterfaceReservation[] {
    return [...this.#members.values()];
  }

  setNetwork(network: Network | undefined, generation: number): void {
    this.#network = network;
    this.generation = generation;
  }

  setMember(
    before: Stored<InterfaceReservation> | undefined,
    after: Stored<InterfaceReservation> | undefined,
    generation: number,
  ): void {
    this.#count(before?.value.nodeName, -1);
    this.#count(after?.value.nodeName, 1);
    if (before !== undefined) this.#members.delete(before.value.name);
    if (after !== undefined) this.#members.set(after.value.name, after.value);
    this.change((before ?? after)!.value.name, generation);
  }

  /** The interface is not what the nodes have. */
  change(name: string, generation: number): void {
    this.generation = generation;
    for (const link of this.links.values()) link.changed.add(name);
  }

  isOn(nodeName: string): boolean {
    return this.#onNode.has(nodeName);
  }

  /** Whether the node needs the table. */
  isFor(nodeName: string): boolean {
    const isSpread = this.#onNode.size >= NODES_MIN && (this.#network?.vni ?? 0) !== 0;
    return isSpread && this.isOn(nodeName);
  }

  /**
   * The nodes to which something of it must be brought. A node that needs nothing and may have something is told to
   * forget it: an agent keeps its tables also while the network is not on its node, and uses them when it comes back.
   */
  nodeNames(): string[] {
    for (const nodeName of this.#onNode.keys()) {
      const isKnown = this.links.has(nodeName) || this.#without.has(nodeName);
      if (!isKnown || this.isFor(nodeName)) this.link(nodeName);
    }
    return [...this.links.keys()];
  }

  link(nodeName: string): Link {
    const link = this.links.get(nodeName) ?? { base: undefined, changed: new Set<string>() };
    this.links.set(nodeName, link);
    this.#without.delete(nodeName);
    return link;
  }

  /** The node has forgotten the table. */
  unlink(nodeName: string): void {
    this.links.delete(nodeName);
    this.#without.add(nodeName);
  }

  /** What the node has is not known any more. */
  doubt(nodeName: string): void {
    this.#without.delete(nodeName);
  }

  /** What the node does not have yet. The link forgets the changes: they are on their way. */
  messageFor(
    nodeName: string,
    link: Link,
    underlayOf: (nodeName: string) => string,
  ): MessageInitShape<typeof PushedSegmentSchema> {
    const networkName = nameOnNode(this.ref);
    const generation = BigInt(this.generation);
    if (!this.isFor(nodeName)) return { networkName, generation, forgotten: true };
    const isAll = link.base === undefined;
    const names = isAll ? [...this.#members.keys()] : [...link.changed];
    link.changed = new Set();
    return {
      networkName,
      vni: this.#network?.vni ?? 0,
      mtu: this.#network === undefined ? 0 : mtuOf(this.#network),
      baseGeneration: BigInt(link.base ?? 0),
      generation,
      members: names.flatMap((name) => {
        const member = this.#members.get(name);
        if (member === undefined) return [];
        return [memberMessage(this.ref, member, underlayOf(member.nodeName))];
      }),
      removed: isAll ? [] : names.filter((name) => !this.#members.has(name)),
    };
  }

  #count(nodeName: string | undefined, by: number): void {
    if (nodeName === undefined || nodeName === "") return;
    const count = (this.#onNode.get(nodeName) ?? 0) + by;
    if (count > 0) this.#onNode.set(nodeName, count);
    else this.#onNode.delete(nodeName);
  }
}

function memberMessage(network: Ref, member: InterfaceReservation, underlayAddress: string) {
  const { name: interfaceName, hardwareAddress } = member;
  const entry = entryOf(network, member);
  return {
    ...{ interfaceName, hardwareAddress, addresses: addressesOf(member), underlayAddress },
    allowedAddresses: [...(member.allowedAddresses ?? [])],
    ...defined({ entry }),
  };
}

/** How DNS on other nodes knows the guest of an interface; undefined if it has none. */
export function entryOf(network: Ref, member: InterfaceReservation) {
  const owner = parseRef(member.owner ?? "");
  if (owner === undefined || member.nodeName === "") return undefined;
  const { hardwareAddress, ipv4Address, ipv6Address } = member;
  return { hardwareAddress, name: guestNameIn(network, owner), ipv4Address, ipv6Address };
}
