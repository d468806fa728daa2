import { type Duplex, duplexPair } from "node:stream";
import { N0Error } from "../../util/errors.ts";
import { untilAborted } from "../../util/race.ts";
import { NAME_ON_NODE, ownerOnNode } from "../../util/ref.ts";
import { isMadeBy, type Mark } from "../mark.ts";
import { isActive, isPaused } from "./active.ts";
import type { DomainEvent, DomainInfo, DomainSpec, DomainState } from "./compute-driver.ts";
import type {
  FakeComputeDriver,
  FakeComputeMethod,
  FakeComputeOptions,
  FakeDefinition,
  FakeFault,
} from "./fake-compute.ts";
import { refuseLeftover } from "./leftover.ts";
import { refuseDeaf } from "./power-button.ts";

interface FakeDomain {
  info: FakeDefinition;
  state: DomainState;
  viewers: Set<Duplex>;
  typed: string;
  /** The guest has booted so far that it hears the power button. */
  isListening: boolean;
}

interface FakeFolder {
  readonly mark: Mark;
  log: string;
}

/** A node's hypervisor in memory. Passes the same suite as the real one. */
export function createFakeComputeDriver(options: FakeComputeOptions = {}): FakeComputeDriver {
  const { memoryBytesMax, hasDisk = () => true, hasTap = () => true } = options;
  const domains = new Map<string, FakeDomain>();
  const foreign = new Map<string, string>();
  /** The name that each uuid was defined under last. */
  const names = new Map<string, string>();
  const folders = new Map<string, FakeFolder>();
  const diskSizes = new Map<string, bigint>();
  const listeners = new Set<(event: DomainEvent) => void>();
  const faults = new Map<FakeComputeMethod, FakeFault>();

  async function guarded<T>(
    method: FakeComputeMethod,
    signal: AbortSignal,
    act: () => T,
  ): Promise<T> {
    signal.throwIfAborted();
    const fault = faults.get(method);
    if (fault?.when === "before") await failAs(fault, signal);
    const answer = act();
    if (fault?.when === "after") await failAs(fault, signal);
    return answer;
  }

  function setState(name: string, state: DomainState): void {
    const domain = domains.get(name);
    if (domain === undefined || domain.state === state) return;
    domain.state = state;
    if (!isActive(domain.state)) {
      for (const viewer of domain.viewers) viewer.destroy();
      domain.viewers.clear();
    }
    if (state === "absent") domains.delete(name);
    // Later, as a real hypervisor's: never inside the call that caused it.
    queueMicrotask(() => {
      for (const listener of [...listeners]) listener({ name, state });
    });
  }

  /** Answers whether the guest has heard it: one that does not listen never hears of it. */
  function press(name: string): boolean {
    const domain = active(name);
    refuseDeaf(name, domain.state);
    const { isListening } = domain;
    domain.isListening = false;
    return isListening;
  }

  const pathOf = (name: string) => `/fake/vm/${name}`;

  function active(name: string, mustBeActive = true): FakeDomain {
    const domain = domains.get(name);
    if (mustBeActive && domain?.state === "crashed")
      throw wrongState(name, "is off, for its QEMU ended unexpectedly: boot it first");
    if (domain === undefined || (mustBeActive && !isActive(domain.state)))
      throw wrongState(name, "is not active: boot it first");
    return domain;
  }

  function refuseForeign(name: string): void {
    if (foreign.has(name)) throw wrongState(name, "has the name of a domain that is not ours");
  }

  function define(spec: DomainSpec, mark: Mark): FakeDomain {
    checkName(spec.name);
    refuseForeign(spec.name);
    if (hasUuidOfAnother(spec)) {
      throw wrongState(spec.name, "has the uuid of another domain");
    }
    const old = domains.get(spec.name);
    const domain = old ?? {
      info: infoOf(spec, mark),
      state: "absent",
      viewers: new Set(),
      typed: "",
      isListening: false,
    };
    const made = old?.info.mark;
    domain.info = infoOf(spec, made?.owner === mark.owner ? made : mark);
    domains.set(spec.name, domain);
    names.set(spec.uuid, spec.name);
    if (old === undefined) setState(spec.name, "shut_off");
    return domain;
  }

  function hasUuidOfAnother({ name, uuid }: DomainSpec): boolean {
    const other = names.get(uuid);
    if (other !== undefined && other !== name && domains.get(other)?.info.uuid === uuid)
      return true;
    return foreign.values().some((other) => other === uuid);
  }

  function requireParts({ name, disks, nics }: DomainSpec): void {
    const disk = disks.findIndex(({ path }) => !hasDisk(path));
    const nic = nics.findIndex(({ tapName }) => !hasTap(tapName));
    if (disk < 0 && nic < 0) return;
    const field = disk >= 0 ? `disks[${disk}]` : `nics[${nic}]`;
    throw new N0Error(
      "failed_precondition",
      `${field} of virtual machine "${name}" is missing on the node: make it first`,
      { resource: ownerOnNode("virtual_machine", name), field },
    );
  }

  function requireMemory(spec: DomainSpec): void {
    if (memoryBytesMax === undefined) return;
    const used = [...domains.values()]
      .filter(({ state }) => isActive(state))
      .reduce((sum, d) => sum + d.info.memoryBytes, 0n);
    if (used + spec.memoryBytes <= memoryBytesMax) return;
    throw new N0Error(
      "resource_exhausted",
      `virtual machine "${spec.name}" needs more memory than the node has`,
    );
  }

  function folderOf(name: string, mark: Mark): FakeFolder {
    const folder = folders.get(name) ?? { mark, log: "" };
    folders.set(name, folder);
    return folder;
  }

  return {
    accelerator: "tcg",
    faults,
    requireNew: (name, mark, signal) =>
      guarded("requireNew", signal, () => {
        checkName(name);
        refuseForeign(name);
        refuseLeftover("domain", name, domains.get(name)?.info.mark, mark);
        refuseLeftover("folder", name, folders.get(name)?.mark, mark);
      }),
    ensureStarted: (spec, mark, signal) =>
      guarded("ensureStarted", signal, () => {
        checkName(spec.name);
        const present = domains.get(spec.name);
        if (present !== undefined && isActive(present.state)) return;
        refuseForeign(spec.name);
        requireParts(spec);
        folderOf(spec.name, mark);
        const domain = define(spec, mark);
        requireMemory(spec);
        domain.isListening = false;
        setState(spec.name, "paused");
      }),
    ensureDefined: (spec, mark, signal) =>
      guarded("ensureDefined", signal, () => {
        const present = domains.get(spec.name);
        if (present !== undefined && isActive(present.state))
          throw wrongState(spec.name, "is active: shut it down first");
        define(spec, mark);
      }),
    ensureResumed: (name, signal) =>
      guarded("ensureResumed", signal, () => {
        active(name);
        setState(name, "running");
      }),
    ensurePaused: (name, signal) =>
      guarded("ensurePaused", signal, () => {
        if (!isPaused(active(name).state)) setState(name, "paused");
      }),
    requestShutdown: (name, signal) =>
      guarded("requestShutdown", signal, () => {
        if (press(name)) setState(name, "shut_off");
      }),
    reboot: (name, hard, signal) =>
      guarded("reboot", signal, () => {
        if (hard) active(name).isListening = false;
        else press(name);
      }),
    ensureOff: (name, signal) =>
      guarded("ensureOff", signal, () => {
        const domain = domains.get(name);
        if (domain !== undefined && isActive(domain.state)) setState(name, "shut_off");
      }),
    ensureAbsent: (name, maker, signal) =>
      guarded("ensureAbsent", signal, () => {
        const domain = domains.get(name);
        if (domain !== undefined && !isMadeBy(domain.info.mark, maker)) return;
        setState(name, "absent");
        const folder = folders.get(name);
        if (folder !== undefined && isMadeBy(folder.mark, maker)) folders.delete(name);
      }),
    state: (name, signal) => guarded("state", signal, () => domains.get(name)?.state ?? "absent"),
    list: (signal) =>
      guarded("list", signal, () =>
        [...domains.values()].map(({ info, state }) => ({ ...info, state })),
      ),
    growDisk: (name, path, sizeBytes, signal) =>
      guarded("growDisk", signal, () => {
        if (!active(name).info.diskPaths.includes(path)) throw wrongState(name, "has no such disk");
        if ((diskSizes.get(path) ?? 0n) > sizeBytes)
          throw wrongState(name, "has a disk larger than that");
        diskSizes.set(path, sizeBytes);
      }),
    undoGrowDisk: (name, path, { fromBytes, toBytes }, signal) =>
      guarded("undoGrowDisk", signal, () => {
        if (!active(name).info.diskPaths.includes(path)) throw wrongState(name, "has no such disk");
        if (diskSizes.get(path) === toBytes) diskSizes.set(path, fromBytes);
      }),
    onEvent(listener) {
      const entry = (event: DomainEvent) => listener(event);
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    async openVnc(name) {
      const { viewers } = active(name);
      const [viewer, screen] = duplexPair();
      viewers.add(viewer);
      screen.resume().write("RFB 003.008\n");
      return viewer;
    },
    async openSerial(name) {
      const domain = active(name);
      const [viewer, guest] = duplexPair();
      guest.on("data", (chunk: Buffer) => {
        domain.typed += chunk.toString();
      });
      domain.viewers.add(guest);
      viewer.once("close", () => {
        domain.viewers.delete(guest);
        guest.destroy();
      });
      guest.once("close", () => viewer.destroy());
      return viewer;
    },
    async *readSerialLog(name, follow, signal) {
      let position = 0;
      for (;;) {
        const log = folders.get(name)?.log;
        if (log !== undefined && log.length > position) {
          yield Buffer.from(log.slice(position));
          position = log.length;
        }
        if (!follow || signal.aborted || log === undefined) return;
        // Nothing is awaited but the next turn, so that tests need no time.
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async ensureFolder(name, mark) {
      folderOf(name, mark);
      return pathOf(name);
    },
    listFolders: (signal) =>
      guarded("listFolders", signal, () =>
        [...folders].map(([name, { mark }]) => ({ name, mark, path: pathOf(name) })),
      ),
    alter(name, change) {
      const domain = active(name, false);
      domain.info = change({ ...domain.info });
    },
    setState,
    forget: (name) => void domains.delete(name),
    powerOff: (name) => {
      active(name);
      setState(name, "shut_off");
    },
    crash: (name) => {
      active(name);
      setState(name, "crashed");
    },
    diskSizeBytes: (path) => diskSizes.get(path),
    listen(name) {
      active(name).isListening = true;
    },
    print(name, text) {
      const { viewers, info } = active(name);
      folderOf(name, info.mark).log += text;
      for (const viewer of viewers) viewer.write(text);
    },
    typed: (name) => active(name).typed,
    addForeign: (name, uuid) => void foreign.set(name, uuid),
    snapshot: () => ({
      domains: [...domains.values()].map(({ info, state }) => ({ ...info, state })),
      foreign: [...foreign].map(([name, uuid]) => ({ name, uuid })),
      folders: [...folders.keys()],
    }),
    async [Symbol.asyncDispose]() {
      listeners.clear();
    },
  };
}

function checkName(name: string): void {
  if (!NAME_ON_NODE.test(name)) {
    throw new N0Error("invalid_argument", "name: is not one of a virtual machine", {
      field: "name",
    });
  }
}

function infoOf(spec: DomainSpec, mark: Mark): Omit<DomainInfo, "state"> {
  return {
    name: spec.name,
    uuid: spec.uuid,
    mark,
    vcpus: spec.vcpus,
    memoryBytes: ((spec.memoryBytes + 1023n) / 1024n) * 1024n,
    diskPaths: spec.disks.map(({ path }) => path),
    nics: spec.nics,
  };
}

function wrongState(name: string, what: string): N0Error {
  return new N0Error("failed_precondition", `virtual machine "${name}" ${what}`, {
    resource: ownerOnNode("virtual_machine", name),
  });
}

async function failAs({ what }: FakeFault, signal: AbortSignal): Promise<never> {
  if (what !== "hang") throw what;
  return await untilAborted(signal);
}
