import type { MessageInitShape } from "@bufbuild/protobuf";
import type { NetworkDriver } from "../driver/network/network-driver.ts";
import type { Peer } from "../driver/network/segment.ts";
import {
  SegmentAnswer_Outcome as Outcome,
  type PushedSegment,
  type PushSegmentsRequest,
  type SegmentAnswerSchema,
  type SegmentMember,
} from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { defined } from "../util/defined.ts";
import { newKeyedMutex } from "../util/keyed-mutex.ts";
import type { Log } from "../util/log.ts";
import { newSlots } from "../util/slots.ts";
import { entryFromWire } from "./port-messages.ts";

/** Each may run two processes. More of them than cores gain nothing. */
const AT_ONCE_MAX = 4;
/** Beyond this, the oldest one without members is forgotten. */
const TABLES_MAX = 10_000;
/** The MTU of a network whose API does not say any. */
const MTU_DEFAULT = 1450;

/** Who is where in a network, as the API has told it. */
interface Table {
  readonly generation: bigint;
  readonly vni: number;
  readonly mtu: number;
  readonly ownUnderlayAddress: string;
  /** By the name of the interface. */
  readonly members: ReadonlyMap<string, SegmentMember>;
}

type Answer = MessageInitShape<typeof SegmentAnswerSchema>;

/**
 * The tables of this node's networks. They are kept in memory also while the network is not here, so that it has
 * its way to other nodes as soon as it comes. An agent that starts has none, and gets them when it registers.
 */
export class Segments {
  readonly #network: Pick<NetworkDriver, "ensureSegment">;
  readonly #log: Log;
  readonly #tables = new Map<string, Table>();
  readonly #mutex = newKeyedMutex();
  readonly #slots = newSlots(AT_ONCE_MAX);

  constructor({
    network,
    log,
  }: { readonly network: Pick<NetworkDriver, "ensureSegment">; log: Log }) {
    this.#network = network;
    this.#log = log;
  }

  /** Takes what is newer than what it has, and makes it so on the node. One never fails because of another. */
  async push(request: PushSegmentsRequest, signal: AbortSignal): Promise<Answer[]> {
    const { segments, ownUnderlayAddress } = request;
    const answer = async (pushed: PushedSegment) => {
      using _ = await this.#slots.take(signal);
      return {
        networkName: pushed.networkName,
        ...(await this.#take(pushed, ownUnderlayAddress, signal)),
      };
    };
    return await Promise.all(segments.map(answer));
  }

  /** Makes the way again of a network that has just come to the node. It works on the node without it. */
  async restore(networkName: string, signal: AbortSignal): Promise<void> {
    if ((this.#tables.get(networkName)?.members.size ?? 0) === 0) return;
    try {
      await this.#apply(networkName, signal);
    } catch (error) {
      if (!signal.aborted)
        this.#log.warn("a network does not reach other nodes", { networkName, error });
    }
  }

  async #take(pushed: PushedSegment, own: string, signal: AbortSignal): Promise<Answer> {
    const { networkName } = pushed;
    const before = this.#tables.get(networkName);
    const outcome = outcomeOf(pushed, before);
    if (outcome !== Outcome.TAKEN) return { outcome };
    const isSame = before?.generation === pushed.generation && before.ownUnderlayAddress === own;
    // An API of a newer version may say more of the same generation.
    if (!isSame || pushed.baseGeneration === 0n) {
      this.#keep(networkName, tableOf(pushed, own, before));
    }
    try {
      await this.#apply(networkName, signal);
    } catch (error) {
      signal.throwIfAborted();
      return { outcome: Outcome.REFUSED, reason: error instanceof Error ? error.message : "" };
    }
    return { outcome };
  }

  /** Of a network that it should forget it keeps the generation, so that a late push does not bring it back. */
  #keep(networkName: string, table: Table): void {
    this.#tables.delete(networkName);
    this.#tables.set(networkName, table);
    if (this.#tables.size <= TABLES_MAX) return;
    for (const [name, { members }] of this.#tables) {
      if (members.size > 0) continue;
      this.#tables.delete(name);
      break;
    }
  }

  /** The newest table, whichever was pushed. */
  async #apply(networkName: string, signal: AbortSignal): Promise<void> {
    await this.#mutex.run(networkName, async () => {
      const table = this.#tables.get(networkName);
      if (table === undefined) return;
      const { vni, mtu, ownUnderlayAddress: underlayAddress } = table;
      const lists = { peers: peersIn(table), sharedAddresses: sharedIn(table) };
      const segment = { networkName, vni, mtu, underlayAddress, ...lists };
      await this.#network.ensureSegment(segment, signal);
    });
  }
}

function outcomeOf(
  { generation, baseGeneration }: PushedSegment,
  before: Table | undefined,
): Outcome {
  if (before !== undefined && generation < before.generation) return Outcome.STALE;
  if (baseGeneration === 0n || generation === before?.generation) return Outcome.TAKEN;
  return baseGeneration === before?.generation ? Outcome.TAKEN : Outcome.ALL_NEEDED;
}

function tableOf(
  { generation, baseGeneration, vni, mtu, members, removed }: PushedSegment,
  ownUnderlayAddress: string,
  before: Table | undefined,
): Table {
  const all = new Map(baseGeneration === 0n ? [] : before?.members);
  for (const name of removed) all.delete(name);
  for (const member of members) all.set(member.interfaceName, member);
  return { generation, vni, mtu: mtu || MTU_DEFAULT, ownUnderlayAddress, members: all };
}

/** Also those of members on this node alone: guests of other nodes ask for them. */
function sharedIn({ members }: Table): string[] {
  return [...members.values()].flatMap(({ allowedAddresses }) => allowedAddresses);
}

/** The members on other nodes. Several agents of one host have one address, and its networks meet nowhere else. */
function peersIn({ vni, ownUnderlayAddress: own, members }: Table): Peer[] {
  if (vni === 0 || own === "") return [];
  return [...members.values()].flatMap(
    ({ hardwareAddress, addresses, underlayAddress, entry: wire }) => {
      if (underlayAddress === "" || underlayAddress === own) return [];
      const entry = wire && entryFromWire(wire);
      return [{ hardwareAddress, addresses, underlayAddress, ...defined({ entry }) }];
    },
  );
}
