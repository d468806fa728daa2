import { N0Error } from "../../../util/errors.ts";
import { formatRef, nameOnNode, parseRef, type Ref } from "../../../util/ref.ts";
import { nodes } from "../../pool/node/collection.ts";
import type { Place, Refusals } from "../convergence/convergence.ts";
import { Pushes, type PushesApi } from "../convergence/pushes.ts";
import { type InterfaceReservation, interfaces } from "../interface/collection.ts";
import { networks } from "../network/collection.ts";
import { securityGroups } from "./collection.ts";
import { groupsMessage, groupsOfInterface, memberMessage, readGroupsOfNetwork } from "./on-node.ts";

/** What is known of an interface. */
interface Known {
  readonly nodeName: string;
  readonly groupIds: readonly string[];
  /** As a node learns of it on which it is not; undefined: it does not. */
  readonly member: ReturnType<typeof memberMessage>;
}

/**
 * Brings each node the rules of the groups of its nics, and the members of groups that are on other nodes. See
 * docs/adr/0063.
 *
 * A node has the rules of a new nic from the request that attaches its tap. So only a change of rules, and a change
 * on another node, is sent.
 */
export class GroupPushes extends Pushes {
  /** The interfaces of each network, by its text and their names. */
  readonly #networks = new Map<string, Map<string, Known>>();
  /** What is known is at least as new. */
  #revision = 0;

  static async open(api: PushesApi): Promise<GroupPushes> {
    // An agent of an older version enforces no groups, so it has nothing to learn.
    const pushes = new GroupPushes(api, "security groups", undefined);
    await pushes.follow(interfaces, (key, before, after, revision) => {
      pushes.#revision = revision;
      const network = { ...interfaces.refOf(key), kind: networks.kind };
      pushes.#changeInterface(network, before?.value, after?.value);
    });
    await pushes.follow(securityGroups, (key, _before, _after, revision) => {
      pushes.#revision = revision;
      pushes.mark(pushes.#placesOfGroup(securityGroups.refOf(key)));
    });
    // It registers when its agent has started, perhaps on a node that has booted.
    await pushes.follow(nodes, (key, _before, after, revision) => {
      pushes.#revision = revision;
      if (after !== undefined) pushes.offer(nodes.refOf(key).name);
    });
    return pushes;
  }

  /** Resolves when the nodes have the rules of this group, as far as they answer; soon in any case. */
  async groupReached(group: Ref, signal: AbortSignal): Promise<void> {
    await this.reachedAt(() => this.#placesOfGroup(group), signal);
  }

  /** Resolves when the nodes know who is in the groups on these networks, as far as they answer; soon in any case. */
  async networksReached(refs: readonly Ref[], signal: AbortSignal): Promise<void> {
    const places = () => refs.flatMap((ref) => this.#placesIn(formatRef(ref)));
    if (places().length > 1) await this.reachedAt(places, signal);
  }

  /** Sends it at once. @throws N0Error if the node does not take it. */
  async pushNow(nodeName: string, network: Ref, signal: AbortSignal): Promise<void> {
    const wanted = await readGroupsOfNetwork(this.api, network, nodeName);
    const { refusals } = await this.api.agents
      .get(nodeName)
      .network((c) => c.pushGroups({ networks: [wanted] }, { signal }));
    const [refusal] = refusals;
    if (refusal !== undefined) throw new N0Error("failed_precondition", refusal.reason);
  }

  protected override offer(nodeName?: string): void {
    const places = [...this.#networks.keys()].flatMap((key) => this.#placesIn(key));
    this.mark(places.filter((place) => (nodeName ?? place.nodeName) === place.nodeName));
  }

  #changeInterface(
    network: Ref,
    before: InterfaceReservation | undefined,
    after: InterfaceReservation | undefined,
  ): void {
    const key = formatRef(network);
    const all = this.#networks.get(key) ?? new Map<string, Known>();
    this.#networks.set(key, all);
    if (before !== undefined) all.delete(before.name);
    if (after !== undefined) all.set(after.name, knownOf(after));
    if (all.size === 0) this.#networks.delete(key);
    // Only other nodes must be told: its own learns it with its tap.
    const own = new Set([before?.nodeName, after?.nodeName]);
    this.mark(this.#placesIn(key).filter(({ nodeName }) => !own.has(nodeName)));
  }

  #placesIn(key: string): Place[] {
    const all = [...(this.#networks.get(key)?.values() ?? [])];
    const nodeNames = new Set(all.map(({ nodeName }) => nodeName).filter((name) => name !== ""));
    return [...nodeNames].map((nodeName) => ({ nodeName, key }));
  }

  #placesOfGroup(group: Ref): Place[] {
    const id = formatRef(group);
    return [...this.#networks].flatMap(([key, all]) => {
      const members = [...all.values()].filter(({ groupIds }) => groupIds.includes(id));
      return [...new Set(members.map(({ nodeName }) => nodeName))].map((nodeName) => ({
        nodeName,
        key,
      }));
    });
  }

  protected override async push(
    nodeName: string,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<Refusals> {
    const refs = new Map(keys.flatMap((key) => withRef(key)));
    // What comes meanwhile is marked, and in a later push.
    const generation = BigInt(this.#revision);
    const known = [...refs].map(([key, ref]) => ({
      ref,
      all: [...(this.#networks.get(key)?.values() ?? [])],
    }));
    const wanted: Awaited<ReturnType<typeof groupsMessage>>[] = [];
    for (const { ref, all } of known) {
      const here = new Set(all.flatMap((one) => (one.nodeName === nodeName ? one.groupIds : [])));
      const members = all.flatMap((one) => (one.nodeName === nodeName ? [] : (one.member ?? [])));
      wanted.push(await groupsMessage(this.api, ref, { generation, members }, here));
    }
    const { refusals } = await this.api.agents
      .get(nodeName)
      .network((c) => c.pushGroups({ networks: wanted }, { signal }));
    const reasons = new Map(refusals.map(({ networkName, reason }) => [networkName, reason]));
    const refused = [...refs].flatMap(([key, ref]) => {
      const reason = reasons.get(nameOnNode(ref));
      return reason === undefined ? [] : [[key, reason] as const];
    });
    return new Map(refused);
  }
}

function knownOf(reserved: InterfaceReservation): Known {
  const groups = groupsOfInterface(reserved);
  const groupIds = groups === "off" ? [] : groups;
  return { nodeName: reserved.nodeName, groupIds, member: memberMessage(reserved) };
}

function withRef(key: string): [string, Ref][] {
  const ref = parseRef(key);
  return ref === undefined ? [] : [[key, ref]];
}
