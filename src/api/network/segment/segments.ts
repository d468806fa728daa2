import type { MessageInitShape } from "@bufbuild/protobuf";
import { caughtUp } from "../../../datastore/datastore.ts";
import {
  SegmentAnswer_Outcome as Outcome,
  type PushedSegmentSchema,
  type SegmentAnswer,
} from "../../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { nodes } from "../../pool/node/collection.ts";
import type { Refusals } from "../convergence/convergence.ts";
import { Pushes, type PushesApi } from "../convergence/pushes.ts";
import { interfaces } from "../interface/collection.ts";
import { networks } from "../network/collection.ts";
import { type Link, Table } from "./table.ts";

/** The members of one message, unless one network has more. */
const MEMBERS_MAX = 16_384;
const PUSH_TIMEOUT_MS = 10_000;

type Message = MessageInitShape<typeof PushedSegmentSchema>;

/** What is sent of one network, and what to do with the answer. */
interface Sending {
  readonly key: string;
  readonly table: Table;
  readonly link: Link;
  readonly changed: ReadonlySet<string>;
  readonly message: Message;
}

/**
 * Brings each node the tables of its networks: who is where. A table follows from the records, so nothing that a
 * request does here has to be undone. See docs/adr/0062.
 */
export class Segments extends Pushes {
  /** By network, as text. */
  readonly #tables = new Map<string, Table>();

  static async open(api: PushesApi): Promise<Segments> {
    const tooOld = "its agent is of a version without VXLAN: update it";
    const segments = new Segments(api, "tables of networks", tooOld);
    await segments.follow(networks, (key, _before, after, revision) => {
      const ref = networks.refOf(key);
      segments.#change(ref, revision, (table) => table.setNetwork(after?.value, revision));
    });
    await segments.follow(interfaces, (key, before, after, revision) => {
      const ref = { ...interfaces.refOf(key), kind: networks.kind };
      segments.#change(ref, revision, (table) => table.setMember(before, after, revision));
    });
    await segments.follow(nodes, (key, before, after, revision) => {
      const nodeName = nodes.refOf(key).name;
      const hasMoved = before?.value.underlayAddress !== after?.value.underlayAddress;
      if (hasMoved) segments.#moveNode(nodeName, revision);
      for (const table of segments.#tables.values()) table.doubt(nodeName);
      // It registers when its agent has started, which knows nothing yet.
      if (after !== undefined) segments.offer(nodeName);
    });
    return segments;
  }

  /** Resolves when the nodes know who is in the networks, as far as they answer; soon in any case. */
  async reached(refs: readonly Ref[], signal: AbortSignal): Promise<void> {
    const places = () =>
      refs.flatMap((ref) => {
        const key = formatRef(ref);
        const nodeNames = this.#tables.get(key)?.links.keys() ?? [];
        return [...nodeNames].map((nodeName) => ({ nodeName, key }));
      });
    await this.reachedAt(places, signal);
  }

  /** Sends the node all of it again. @throws N0Error if the node does not take it. */
  async renew(nodeName: string, ref: Ref, signal: AbortSignal): Promise<void> {
    await caughtUp(this.api.datastore);
    const key = formatRef(ref);
    const table = this.#tables.get(key);
    // Nobody is on the network: it went from the node with its last guest.
    if (table === undefined) return;
    table.link(nodeName).base = undefined;
    await this.again({ nodeName, key }, PUSH_TIMEOUT_MS, signal);
  }

  /** The node says itself what of it it lacks. */
  protected override offer(nodeName?: string): void {
    if (!this.isStarted) return;
    for (const [key, table] of this.#tables) {
      if (nodeName === undefined) {
        this.#mark(key, table);
      } else {
        if (table.isFor(nodeName)) table.link(nodeName);
        if (table.links.has(nodeName)) this.mark([{ nodeName, key }]);
      }
    }
  }

  #change(ref: Ref, revision: number, change: (table: Table) => void): void {
    const key = formatRef(ref);
    const table = this.#tables.get(key) ?? new Table(ref, revision);
    this.#tables.set(key, table);
    change(table);
    this.#mark(key, table);
  }

  #mark(key: string, table: Table): void {
    if (!this.isStarted) return;
    this.mark(table.nodeNames().map((nodeName) => ({ nodeName, key })));
    if (table.isEmpty) this.#tables.delete(key);
  }

  /** Its guests are somewhere else for all others. */
  #moveNode(nodeName: string, revision: number): void {
    for (const [key, table] of this.#tables) {
      if (!table.isOn(nodeName)) continue;
      for (const member of table.members) {
        if (member.nodeName === nodeName) table.change(member.name, revision);
      }
      this.#mark(key, table);
    }
  }

  protected override async push(
    nodeName: string,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<Refusals> {
    const refusals = new Map<string, string>();
    let rest = this.#sendings(nodeName, keys);
    while (rest.length > 0) {
      const again: Sending[] = [];
      for (const some of parts(rest)) {
        const answers = await this.#send(nodeName, some, signal);
        for (const sending of some) {
          const answer = answers.get(sending.message.networkName ?? "");
          const needsAll = this.#settle(nodeName, sending, answer, refusals);
          if (needsAll) again.push(...this.#sendings(nodeName, [sending.key]));
        }
      }
      rest = again;
    }
    return refusals;
  }

  #sendings(nodeName: string, keys: readonly string[]): Sending[] {
    return keys.flatMap((key) => {
      const table = this.#tables.get(key);
      const link = table?.links.get(nodeName);
      if (table === undefined || link === undefined) return [];
      const { changed } = link;
      const message = table.messageFor(nodeName, link, (name) => this.#underlayOf(name));
      return [{ key, table, link, changed, message }];
    });
  }

  async #send(
    nodeName: string,
    sendings: readonly Sending[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, SegmentAnswer>> {
    const segments = sendings.map(({ message }) => message);
    const ownUnderlayAddress = this.#underlayOf(nodeName);
    try {
      const { answers } = await this.api.agents
        .get(nodeName)
        .network((c) => c.pushSegments({ segments, ownUnderlayAddress }, { signal }));
      return new Map(answers.map((answer) => [answer.networkName, answer]));
    } catch (error) {
      // The node may have it or not, and says so if it is asked with this base.
      for (const { link, changed } of sendings) for (const name of changed) link.changed.add(name);
      throw error;
    }
  }

  /** @returns whether the node needs all of it. */
  #settle(
    nodeName: string,
    { key, table, link, changed, message }: Sending,
    answer: SegmentAnswer | undefined,
    refusals: Map<string, string>,
  ): boolean {
    switch (answer?.outcome) {
      case Outcome.TAKEN:
        link.base = message.forgotten === true ? undefined : Number(message.generation);
        if (message.forgotten !== true) return false;
        // Its guest may have come meanwhile.
        if (table.isFor(nodeName)) return true;
        table.unlink(nodeName);
        if (table.isEmpty) this.#tables.delete(key);
        return false;
      case Outcome.ALL_NEEDED:
        link.base = undefined;
        return true;
      default:
        for (const name of changed) link.changed.add(name);
        refusals.set(key, reasonOf(answer));
        return false;
    }
  }

  #underlayOf(nodeName: string): string {
    return this.api.inventory.find(nodeName)?.node.underlayAddress ?? "";
  }
}

function reasonOf(answer: SegmentAnswer | undefined): string {
  if (answer?.outcome === Outcome.STALE) return "the node has newer records: restart its agent";
  return answer?.reason || "the node does not say why";
}

/** Messages of a bounded size. */
function parts(sendings: readonly Sending[]): Sending[][] {
  const found: Sending[][] = [];
  let room = 0;
  for (const sending of sendings) {
    const { members = [], removed = [] } = sending.message;
    const size = 1 + members.length + removed.length;
    if (found.length === 0 || size > room) {
      found.push([]);
      room = MEMBERS_MAX;
    }
    room -= size;
    found.at(-1)!.push(sending);
  }
  return found;
}
