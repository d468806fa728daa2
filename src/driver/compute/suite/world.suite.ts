import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect } from "vitest";
import type { ComputeDriver } from "../compute-driver.ts";
import type { DiskSpec, DomainEvent, DomainSpec, DomainState, NicSpec } from "../domain.ts";

/** A node with a driver, and what only the world outside of the driver can do. */
export interface ComputeDriverWorld extends AsyncDisposable {
  readonly driver: ComputeDriver;
  /** A virtual machine's name that nobody else uses. */
  newName(): string;
  newDisk(): Promise<DiskSpec>;
  /**
   * A disk from which a guest boots that releases the devices that it is asked for. It hears the power button, and
   * powers off, from when it is told to `listen`.
   */
  newGuestDisk(): Promise<DiskSpec>;
  /** Has that guest listen, until it boots again. */
  listen(name: string): Promise<void>;
  newNic(): Promise<NicSpec>;
  /** From now on, the guest releases no nic. It has no disk to boot from. */
  keepNics(name: string): Promise<void>;
  /** More than the node has. */
  readonly tooMuchMemoryBytes: bigint;
  /** A domain of somebody else's under the name that `name` has on the hypervisor. */
  addForeign(name: string, uuid: string): Promise<void>;
  /** True if that domain is there, as it was made. */
  isForeignIntact(name: string, uuid: string): Promise<boolean>;
  hasFolder(name: string): Promise<boolean>;
  /** QEMU ends as after the guest's own power-off. */
  powerOff(name: string): Promise<void>;
  /** QEMU dies. */
  crash(name: string): Promise<void>;
  diskSizeBytes(path: string): Promise<bigint>;
}

export const MIB = 1024n * 1024n;
export const signal = new AbortController().signal;
export const mark = { owner: "virtual_machine/suite", transactionId: "tx-'1'<&>" };
/** The same owner's, of a later transaction. */
export const later = { ...mark, transactionId: "tx-later" };
export const POLL = { timeout: 10_000, interval: 20 };

/** What each test of a suite has anew. */
export interface OnWorld {
  readonly world: ComputeDriverWorld;
  readonly driver: ComputeDriver;
  /** Of all domains, since the test began. */
  readonly events: readonly DomainEvent[];
  /** Of a virtual machine that is not there yet. */
  readonly spec: DomainSpec;
  stateOf(name: string): Promise<DomainState>;
  /** Waits until the virtual machine of `spec` has gone through these. */
  expectEvents(...states: readonly DomainState[]): Promise<void>;
}

/** To be called where the tests are registered; to be read in them. */
export function onEachWorld(newWorld: () => Promise<ComputeDriverWorld>): OnWorld {
  let world: ComputeDriverWorld;
  let events: DomainEvent[];
  let spec: DomainSpec;
  let stopListening: () => void;

  beforeEach(async () => {
    world = await newWorld();
    events = [];
    stopListening = world.driver.onEvent((event) => events.push(event));
    spec = newSpec(world.newName());
  });

  afterEach(async () => {
    stopListening();
    await world[Symbol.asyncDispose]();
  });

  return {
    get world() {
      return world;
    },
    get driver() {
      return world.driver;
    },
    get events() {
      return events;
    },
    get spec() {
      return spec;
    },
    stateOf: (name) => world.driver.state(name, signal),
    async expectEvents(...states) {
      const { name } = spec;
      const told = () => events.filter((event) => event.name === name).map(({ state }) => state);
      await expect.poll(told, POLL).toEqual(states);
    },
  };
}

export function newSpec(name: string): DomainSpec {
  return {
    name,
    uuid: randomUUID(),
    vcpus: 1,
    cpuMilliCores: 500,
    memoryBytes: 64n * MIB,
    disks: [],
    nics: [],
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
