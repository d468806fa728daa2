import { PROJECT_HEADER } from "../../src/util/project.ts";
import { type Clients, clientsOf } from "../clients.ts";
import type { Endpoint, Network } from "./network.ts";
import { Process, type Timeline } from "./timeline.ts";

export interface WatcherOptions {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly api: Endpoint;
}

/** The messages of a watch, for any kind of object. */
interface Change {
  readonly object?: { readonly name: string; readonly state: number } | undefined;
  readonly deletedName: string;
  readonly synced: boolean;
}

type Watch = (clients: Clients) => AsyncIterable<Change>;

const AGAIN_MS = 500;

/** A client that watches all the time, and starts again when its stream breaks. */
export class Watcher {
  /** By name, the last reported state. */
  readonly seen = new Map<string, number>();
  /** It has received everything that existed when it began. */
  isSynced = false;
  readonly #timeline: Timeline;
  readonly #process: Process;
  readonly #clients: Clients;
  readonly #watch: Watch;

  constructor(name: string, { timeline, network, api }: WatcherOptions, watch: Watch) {
    this.#timeline = timeline;
    this.#process = new Process(name);
    this.#clients = clientsOf(network.link(this.#process, name, api, () => name));
    this.#watch = watch;
  }

  start(): void {
    void this.#go();
  }

  async #go(): Promise<void> {
    for (;;) {
      this.seen.clear();
      this.isSynced = false;
      try {
        for await (const change of this.#watch(this.#clients)) this.#take(change);
      } catch {
        // It starts again after any failure.
      }
      await new Promise<void>((resolve) => {
        this.#timeline.after(AGAIN_MS, this.#process, resolve);
      });
    }
  }

  #take({ object, deletedName, synced }: Change): void {
    if (object !== undefined) this.seen.set(object.name, object.state);
    if (deletedName !== "") this.seen.delete(deletedName);
    if (synced) this.isSynced = true;
  }
}

export function machines(project: string): Watch {
  const options = { headers: { [PROJECT_HEADER]: project } };
  return async function* ({ virtualMachines }) {
    for await (const change of virtualMachines.watchVirtualMachines({}, options)) {
      yield { ...change, object: change.virtualMachine };
    }
  };
}

export function disks(project: string): Watch {
  const options = { headers: { [PROJECT_HEADER]: project } };
  return async function* ({ blockStorages }) {
    for await (const change of blockStorages.watchBlockStorages({}, options)) {
      yield { ...change, object: change.blockStorage };
    }
  };
}
