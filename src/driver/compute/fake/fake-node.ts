import type { Duplex } from "node:stream";
import { N0Error } from "../../../util/errors.ts";
import { untilAborted } from "../../../util/race.ts";
import { NAME_ON_NODE, ownerOnNode } from "../../../util/ref.ts";
import type { Mark } from "../../mark.ts";
import { isActive } from "../active.ts";
import type { DomainEvent, DomainState, NicSpec } from "../domain.ts";
import type {
  FakeComputeMethod,
  FakeComputeOptions,
  FakeDefinition,
  FakeFault,
} from "./fake-compute.ts";

export interface FakeDomain {
  info: FakeDefinition;
  state: DomainState;
  viewers: Set<Duplex>;
  typed: string;
  /** The guest has booted so far that it notices the power button. */
  isListening: boolean;
}

export interface FakeFolder {
  readonly mark: Mark;
  log: string;
}

/** The state that the parts of the fake share: the hypervisor and its folders in memory. */
export class FakeNode {
  readonly options: FakeComputeOptions;
  readonly domains = new Map<string, FakeDomain>();
  /** The uuids of domains that are not ours, by name. */
  readonly foreign = new Map<string, string>();
  /** For each uuid, the name that it was last defined with. */
  readonly names = new Map<string, string>();
  readonly folders = new Map<string, FakeFolder>();
  readonly diskSizes = new Map<string, bigint>();
  readonly listeners = new Set<(event: DomainEvent) => void>();
  /** Those whose guests release no nic. */
  readonly keepsNics = new Set<string>();
  readonly faults = new Map<FakeComputeMethod, FakeFault>();

  constructor(options: FakeComputeOptions) {
    this.options = options;
  }

  /** Does `act`, unless `method` has a fault. */
  async guarded<T>(method: FakeComputeMethod, signal: AbortSignal, act: () => T): Promise<T> {
    signal.throwIfAborted();
    const fault = this.faults.get(method);
    if (fault?.when === "before") await failAs(fault, signal);
    const answer = act();
    if (fault?.when === "after") await failAs(fault, signal);
    return answer;
  }

  setState(name: string, state: DomainState): void {
    const domain = this.domains.get(name);
    if (domain === undefined || domain.state === state) return;
    domain.state = state;
    if (!isActive(domain.state)) {
      for (const viewer of domain.viewers) viewer.destroy();
      domain.viewers.clear();
    }
    if (state === "absent") this.domains.delete(name);
    // Later, as a real hypervisor does: never inside of the call that caused it.
    queueMicrotask(() => {
      for (const listener of [...this.listeners]) listener({ name, state });
    });
  }

  active(name: string): FakeDomain {
    const domain = this.domains.get(name);
    if (domain?.state === "crashed")
      throw wrongState(name, "is off because its QEMU ended unexpectedly: boot it first");
    if (domain === undefined || !isActive(domain.state))
      throw wrongState(name, "is not active: boot it first");
    return domain;
  }

  refuseForeign(name: string): void {
    if (this.foreign.has(name)) throw wrongState(name, "has the name of a domain that is not ours");
  }

  folderOf(name: string, mark: Mark): FakeFolder {
    const folder = this.folders.get(name) ?? { mark, log: "" };
    this.folders.set(name, folder);
    return folder;
  }
}

export function checkName(name: string): void {
  if (!NAME_ON_NODE.test(name)) {
    throw new N0Error("invalid_argument", "name: is not a name of a virtual machine", {
      field: "name",
    });
  }
}

const FIRST_SLOT = 3;

/** As a guest finds them, by their slots. Those without one get the lowest that are free. */
export function inOrder(nics: readonly NicSpec[]): readonly NicSpec[] {
  const taken = new Set(nics.map(({ pciSlot }) => pciSlot));
  const placed = nics.map(({ pciSlot, ...nic }) => {
    let slot = pciSlot ?? FIRST_SLOT;
    while (pciSlot === undefined && taken.has(slot)) slot++;
    taken.add(slot);
    return { ...nic, pciSlot: slot };
  });
  return placed.toSorted((one, other) => one.pciSlot - other.pciSlot);
}

export function wrongState(name: string, what: string): N0Error {
  return new N0Error("failed_precondition", `virtual machine "${name}" ${what}`, {
    resource: ownerOnNode("virtual_machine", name),
  });
}

async function failAs({ what }: FakeFault, signal: AbortSignal): Promise<never> {
  if (what !== "hang") throw what;
  return await untilAborted(signal);
}
