import { caughtUp } from "../../../datastore/datastore.ts";
import { N0Error } from "../../../util/errors.ts";
import { formatRef, nameOnNode, parseRef, type Ref } from "../../../util/ref.ts";
import { Mirror } from "../../core/read/mirror.ts";
import type * as pool from "../../pool/context.ts";
import { nodes } from "../../pool/node/collection.ts";
import { onReadinessChange } from "../../pool/node/readiness.ts";
import { Convergence, type Place, type Refusals } from "../convergence/convergence.ts";
import { type InterfaceReservation, interfaces } from "../interface/collection.ts";
import { networks } from "../network/collection.ts";
import { securityGroups } from "./collection.ts";
import { groupsOfInterface, readGroupsOfNetwork } from "./on-node.ts";

/** The longest time that a request waits until the nodes have the new rules or members. */
const WAIT_MS = 1_000;

type Needed = Pick<
  pool.Api,
  "datastore" | "records" | "agents" | "inventory" | "clock" | "random" | "log" | "shutdown"
>;

/**
 * Brings each node the rules of the groups of its nics, and the members of groups that are on other nodes. Both
 * follow from the records, so nothing that a request does here has to be undone. See docs/adr/0063.
 *
 * A node has the rules of a new nic from the request that attaches its tap. So only a change of rules, and a change
 * on another node, is sent.
 */
export class GroupPushes implements AsyncDisposable {
  readonly #api: Needed;
  readonly #mirrors = new DisposableStack();
  /** The interfaces of each network, by its text and their names. */
  readonly #networks = new Map<string, Map<string, InterfaceReservation>>();
  readonly #convergence: Convergence;
  #isStarted = false;

  private constructor(api: Needed) {
    this.#api = api;
    const { inventory, clock, random, log, shutdown } = api;
    this.#convergence = new Convergence({
      what: "security groups",
      push: (nodeName, keys, signal) => this.#push(nodeName, keys, signal),
      isReachable: (nodeName) => {
        const view = inventory.find(nodeName);
        return view?.isReady === true && !view.node.lost;
      },
      ...{ clock, random, log, shutdown },
    });
  }

  static async open(api: Needed): Promise<GroupPushes> {
    const pushes = new GroupPushes(api);
    const { datastore } = api;
    const mirrors = pushes.#mirrors;
    mirrors.use(
      await Mirror.open(datastore, interfaces, (key, before, after) => {
        const network = { ...interfaces.refOf(key), kind: networks.kind };
        pushes.#changeInterface(network, before?.value, after?.value);
      }),
    );
    mirrors.use(
      await Mirror.open(datastore, securityGroups, (key) => {
        pushes.#mark(pushes.#placesOfGroup(securityGroups.refOf(key)));
      }),
    );
    mirrors.use(
      // It registers when its agent has started, perhaps on a node that has booted.
      await Mirror.open(datastore, nodes, (key, _before, after) => {
        if (after !== undefined) pushes.#mark(pushes.#placesOn(nodes.refOf(key).name));
      }),
    );
    return pushes;
  }

  /** Brings every node what it may lack. */
  start(): void {
    this.#isStarted = true;
    this.#mark([...this.#networks.keys()].flatMap((key) => this.#placesIn(key)));
    const stop = onReadinessChange(this.#api, (nodeName) => {
      this.#mark(this.#placesOn(nodeName));
      this.#convergence.wake(nodeName);
    });
    this.#mirrors.defer(stop);
  }

  /** Resolves when the nodes have the rules of this group, as far as they answer; soon in any case. */
  async groupReached(group: Ref, signal: AbortSignal): Promise<void> {
    await caughtUp(this.#api.datastore);
    await this.#convergence.reached(this.#placesOfGroup(group), WAIT_MS, signal);
  }

  /** Resolves when the nodes know who is in the groups on these networks, as far as they answer; soon in any case. */
  async networksReached(refs: readonly Ref[], signal: AbortSignal): Promise<void> {
    const places = refs.flatMap((ref) => this.#placesIn(formatRef(ref)));
    if (places.length < 2) return;
    await caughtUp(this.#api.datastore);
    await this.#convergence.reached(places, WAIT_MS, signal);
  }

  /** Sends it at once. @throws N0Error if the node does not take it. */
  async pushNow(nodeName: string, network: Ref, signal: AbortSignal): Promise<void> {
    const wanted = await readGroupsOfNetwork(this.#api, network, nodeName);
    const { refusals } = await this.#api.agents
      .get(nodeName)
      .network((c) => c.pushGroups({ networks: [wanted] }, { signal }));
    const [refusal] = refusals;
    if (refusal !== undefined) throw new N0Error("failed_precondition", refusal.reason);
  }

  /** Whether the node has what the records say, as far as this process knows. */
  isReached(nodeName: string, network: Ref): boolean {
    return this.#convergence.isReached({ nodeName, key: formatRef(network) });
  }

  /** Resolves when nothing is being sent. */
  async atRest(): Promise<void> {
    await caughtUp(this.#api.datastore);
    await this.#convergence.atRest();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#mirrors.dispose();
    await this.#convergence.atRest();
  }

  #changeInterface(
    network: Ref,
    before: InterfaceReservation | undefined,
    after: InterfaceReservation | undefined,
  ): void {
    const key = formatRef(network);
    const all = this.#networks.get(key) ?? new Map<string, InterfaceReservation>();
    this.#networks.set(key, all);
    if (before !== undefined) all.delete(before.name);
    if (after !== undefined) all.set(after.name, after);
    if (all.size === 0) this.#networks.delete(key);
    // Only other nodes must be told: its own learns it with its tap.
    const own = new Set([before?.nodeName, after?.nodeName]);
    this.#mark(this.#placesIn(key).filter(({ nodeName }) => !own.has(nodeName)));
  }

  #mark(places: readonly Place[]): void {
    if (this.#isStarted) for (const place of places) this.#convergence.mark(place);
  }

  #placesIn(key: string): Place[] {
    const all = [...(this.#networks.get(key)?.values() ?? [])];
    const nodeNames = new Set(all.map(({ nodeName }) => nodeName).filter((name) => name !== ""));
    return [...nodeNames].map((nodeName) => ({ nodeName, key }));
  }

  #placesOn(nodeName: string): Place[] {
    return [...this.#networks.keys()].flatMap((key) =>
      this.#placesIn(key).filter((place) => place.nodeName === nodeName),
    );
  }

  #placesOfGroup(group: Ref): Place[] {
    const id = formatRef(group);
    return [...this.#networks].flatMap(([key, all]) => {
      const members = [...all.values()].filter((one) => groupsOfInterface(one).includes(id));
      return [...new Set(members.map(({ nodeName }) => nodeName))].map((nodeName) => ({
        nodeName,
        key,
      }));
    });
  }

  async #push(nodeName: string, keys: readonly string[], signal: AbortSignal): Promise<Refusals> {
    const refs = new Map(keys.flatMap((key) => withRef(key)));
    const wanted: Awaited<ReturnType<typeof readGroupsOfNetwork>>[] = [];
    for (const ref of refs.values()) {
      wanted.push(await readGroupsOfNetwork(this.#api, ref, nodeName));
    }
    try {
      const { refusals } = await this.#api.agents
        .get(nodeName)
        .network((c) => c.pushGroups({ networks: wanted }, { signal }));
      const reasons = new Map(refusals.map(({ networkName, reason }) => [networkName, reason]));
      const refused = [...refs].flatMap(([key, ref]) => {
        const reason = reasons.get(nameOnNode(ref));
        return reason === undefined ? [] : [[key, reason] as const];
      });
      return new Map(refused);
    } catch (error) {
      // An agent of an older version enforces no groups, so it has nothing to learn.
      if (error instanceof N0Error && error.kind === "unimplemented") return new Map();
      throw error;
    }
  }
}

function withRef(key: string): [string, Ref][] {
  const ref = parseRef(key);
  return ref === undefined ? [] : [[key, ref]];
}
