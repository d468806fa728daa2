import { interfaces } from "../src/api/network/interface/collection.ts";
import { blockStorages } from "../src/api/provisioning/block-storage/collection.ts";
import { blockStorageRef, networkRef } from "./refs.ts";
import { GiB } from "./scenario.ts";
import type { Hands } from "./verify-world.ts";

/** One way to make a world inconsistent. */
export interface DriftCase {
  /** The change, which the API does not see. */
  readonly drift: (hands: Hands) => Promise<void> | void;
  /** Every code that verify then finds, in any order. Default: only the case's own code. */
  readonly found?: readonly string[];
  /** What is left after a repair. Default: nothing. */
  readonly left?: readonly string[];
  /** Whether its repair has unwind cases. True for one code of each kind of repair. */
  readonly isUnwound?: boolean;
  /** The part of a network on a node that an API which starts puts right by itself, whatever it finds. */
  readonly toldAtStart?: string;
}

export const MARK = { owner: "virtual_machine/ghost", transactionId: "long-ago" };
export const MARK_OF_WEB = { ...MARK, owner: "virtual_machine/web" };
export const DISK_MARK = { owner: "block_storage/ghost", transactionId: "long-ago" };
export const GHOST = {
  name: "ghost",
  uuid: "6f1a9f60-0000-4000-8000-000000000001",
  vcpus: 1,
  cpuMilliCores: 100,
  memoryBytes: GiB,
  disks: [],
  nics: [],
};
export const GHOST_VOLUME = "ghost.0123456789ab";
export const RESERVED_BY_HAND = {
  name: "ghost",
  owner: "virtual_machine/ghost",
  transactionId: "long-ago",
  annotations: {},
};

export const WEB = ["virtual_machine", "default", "web"];
export const GHOST_OWNER = ["virtual_machine", "default", "ghost"];

export const volumeOf = async ({ read }: Hands, name: string) =>
  (await read(blockStorages, blockStorageRef(name))).volumeId;
export const interfaceOf = async ({ read }: Hands, name = "web0") =>
  await read(interfaces, networkRef("net"), name);
export const tapOf = async (hands: Hands, name = "web0") =>
  (await interfaceOf(hands, name)).tapName;

/** Makes a network on the node with one tap of an unknown owner. */
export async function ghostTap({ here, signal }: Hands): Promise<void> {
  await here.network.ensureTap("ghost0", MARK, signal);
}

export async function damageNetwork(hands: Hands, damage: object): Promise<void> {
  const { networks: there } = hands.here.network.hands;
  there.set("net", { ...there.get("net")!, damage });
}

export async function alter(hands: Hands, name: string, change: object): Promise<void> {
  hands.here.compute.alter(name, (info) => ({ ...info, ...change }));
}

/** By their codes. The cases of `cold` use a virtual machine that is shut down. */
export type Drifts = Readonly<Record<string, DriftCase>>;
