import type { UserObject } from "../../src/api/core/resource/object.ts";
import { isVisible, type Shareable } from "../../src/api/core/sharing.ts";
import { images } from "../../src/api/deployment/image/collection.ts";
import { isBefore } from "../../src/api/iam/owner.ts";
import { projects } from "../../src/api/iam/project/collection.ts";
import { networks } from "../../src/api/network/network/collection.ts";
import { blockStorages } from "../../src/api/provisioning/block-storage/collection.ts";
import { virtualMachines } from "../../src/api/provisioning/virtual-machine/collection.ts";
import type { AnyCollection, Objects } from "../../src/datastore/collection.ts";
import { refOfKey } from "../../src/datastore/key.ts";
import type { Image } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import type { Network } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import {
  type BlockStorage,
  BlockStorage_BlockStorageState as DiskState,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type Ref, refBeside } from "../../src/util/ref.ts";
import { type Dice, hashOf, newDice } from "./dice.ts";
import { type Model, scopeIn } from "./model.ts";
import type { PlannedCall } from "./plan.ts";
import { PROJECTS } from "./projects.ts";

/** The number of names of each kind: few, so that requests collide. */
const NAMES: ReadonlyMap<string, number> = new Map([
  ["vm", 10],
  ["disk", 18],
]);
const NAMES_OF_OTHERS = 3;

export function namesOf(kind: string): string[] {
  const length = NAMES.get(kind) ?? NAMES_OF_OTHERS;
  return Array.from({ length }, (_, i) => `${kind}-${i}`);
}

/**
 * The input of a request: the state when it is sent, and dice of its own. The choice depends as little as
 * possible on other objects, so that leaving out an earlier call changes little.
 */
export class View {
  readonly dice: Dice;
  readonly nodeNames: readonly string[];
  readonly #project: string;
  readonly #model: Model;
  readonly #seed: number;
  #choices = 0;

  constructor(
    model: Model,
    { seed, project }: Pick<PlannedCall, "seed" | "project">,
    nodeNames: readonly string[],
  ) {
    this.#model = model;
    this.#seed = seed;
    this.#project = project;
    this.dice = newDice(seed);
    this.nodeNames = nodeNames;
  }

  /** Mostly a suitable one, sometimes any. */
  choose(suiting: readonly string[], all: readonly string[]): string {
    const label = `${this.#seed}/${this.#choices++}`;
    const from = suiting.length > 0 && this.dice.chance(0.85) ? suiting : all;
    const rank = (name: string) => hashOf(`${label}/${name}`);
    return from.reduce((best, name) => (rank(name) < rank(best) ? name : best));
  }

  node(): string {
    return this.choose([], this.nodeNames);
  }

  machine(suits: (vm: VirtualMachine) => boolean = () => true): string {
    const found = this.#list(virtualMachines).filter(suits);
    return this.choose(
      found.map(({ name }) => name),
      namesOf("vm"),
    );
  }

  freeMachine(): string {
    return this.choose(this.#free(virtualMachines, namesOf("vm")), namesOf("vm"));
  }

  disk(...states: readonly DiskState[]): string {
    const suits = ({ state }: BlockStorage) => states.length === 0 || states.includes(state);
    const found = this.#list(blockStorages).filter(suits);
    return this.choose(
      found.map(({ name }) => name),
      namesOf("disk"),
    );
  }

  freeDisk(): string {
    const free = this.#free(blockStorages, namesOf("disk"));
    const deleted = this.#list(blockStorages).filter((d) => d.state === DiskState.DELETED);
    return this.choose([...free, ...deleted.map(({ name }) => name)], namesOf("disk"));
  }

  /** Up to `count` disks on one node that a virtual machine could use. */
  freeDisks(count: number, nodeName?: string): string[] {
    const free = this.#list(blockStorages).filter(({ state }) => state === DiskState.AVAILABLE);
    const place =
      nodeName ?? free[hashOf(`${this.#seed}`) & (0xff % Math.max(1, free.length))]?.nodeName;
    const here = free.filter((disk) => disk.nodeName === place).map(({ name }) => name);
    const names = Array.from({ length: count }, () => this.choose(here, namesOf("disk")));
    return [...new Set(names)];
  }

  find(name: string): BlockStorage | undefined {
    return this.get(blockStorages, name);
  }

  findMachine(name: string): VirtualMachine | undefined {
    return this.get(virtualMachines, name);
  }

  image(suits: (image: Image) => boolean = () => true): string {
    const found = this.#list(images).filter(suits);
    return this.choose(
      found.map(({ name }) => name),
      namesOf("img"),
    );
  }

  findImage(name: string): Image | undefined {
    return this.get(images, name);
  }

  /** Mostly one of the own project, sometimes another project's, which is mostly a shared one. */
  imageToUse(): string {
    const isTagged = ({ tags }: Image) => Object.keys(tags).length > 0;
    return this.#perhapsElsewhere((view, isSeen) =>
      view.image((image) => isTagged(image) && isSeen(image)),
    );
  }

  /** The same for networks. */
  networkToUse(): string {
    return this.#perhapsElsewhere((view, isSeen) => view.network(isSeen));
  }

  network(suits: (network: Network) => boolean = () => true): string {
    const found = this.#list(networks).filter(suits);
    return this.choose(
      found.map(({ name }) => name),
      namesOf("net"),
    );
  }

  /** Mostly an existing one, sometimes any of these. */
  object(of: Objects<UserObject>, all: readonly string[]): string {
    const found = this.#list(of).map(({ name }) => name);
    return this.choose(found, all);
  }

  get<T>(of: Objects<T>, text: string): T | undefined {
    const { scope } = this.ref(of, text);
    return this.#model.find(of, refBeside({ scope }, of.kind, text));
  }

  /** The parts of the keys of reservations that users made by hand, on nodes or in this project. */
  byHand({ prefix, parts }: Pick<AnyCollection, "prefix" | "parts">): (readonly string[])[] {
    return [...this.#model.byHand]
      .filter((key) => key.startsWith(prefix) && this.#isSeen(key))
      .map(parts);
  }

  /** What the request names. */
  ref({ kind }: Pick<Objects<unknown>, "kind">, name: string): Ref {
    return { kind, scope: scopeIn(this.#project, kind), name };
  }

  /** An open one, if there is any. */
  transaction(): string {
    const open = this.#model
      .open()
      .filter(({ guards }) => guards.some((key) => this.#isSeen(key)))
      .map(({ id }) => id);
    return this.choose(open, ["018bcfe56800-00000000-0000"]);
  }

  /** One that is done, if there is any. */
  done(): string {
    const done = [...this.#model.transactions.values()]
      .filter(({ state, guards }) => state === "done" && guards.some((key) => this.#isSeen(key)))
      .map(({ id }) => id);
    return this.choose(done, ["018bcfe56800-00000000-0000"]);
  }

  #perhapsElsewhere(
    choose: (view: View, isSeen: (object: Shareable) => boolean) => string,
  ): string {
    if (!this.dice.chance(0.3)) return choose(this, () => true);
    const project = this.dice.pick(PROJECTS.filter((one) => one !== this.#project));
    const there = new View(this.#model, { seed: this.#seed, project }, this.nodeNames);
    const isSeen = (object: Shareable) =>
      isVisible(object, project, this.#project, {
        isFormer: ({ name }, atMs) => isBefore(atMs, this.get(projects, name)),
      });
    return `${project}/${choose(there, isSeen)}`;
  }

  #free(of: Objects<unknown>, names: readonly string[]): string[] {
    return names.filter((name) => !this.#model.expected.has(of.key(this.ref(of, name))));
  }

  #list<T>(of: Objects<T>): T[] {
    return this.#model.list(of, this.#project);
  }

  #isSeen(key: string): boolean {
    const ref = refOfKey(key);
    return ref === undefined || ref.scope === scopeIn(this.#project, ref.kind);
  }
}
