import type { ComputeDriver } from "../../src/driver/compute/compute-driver.ts";
import type { NetworkDriver } from "../../src/driver/network/network-driver.ts";
import type { SeedDriver } from "../../src/driver/seed/seed-driver.ts";
import type { VolumeDriver } from "../../src/driver/volume/volume-driver.ts";
import { diskFull } from "../../src/driver/volume/volume-errors.ts";
import { N0Error } from "../../src/util/errors.ts";
import type { FakeDrivers } from "../fake-node.ts";
import type { Dice } from "./dice.ts";
import { never } from "./network.ts";
import type { Process, Timeline } from "./timeline.ts";

/** The fate of the next call that changes something on the node. */
export type DriverFate = "fails" | "fails-late" | "unavailable" | "disk-full" | "slow" | "sticks";

export interface NodeFates {
  readonly next: DriverFate[];
  readonly happened: Map<string, number>;
  /** Volumes, domains and devices, by their names, that cannot be changed until the faults stop. */
  readonly stuck: Set<string>;
  /** The calls in progress. */
  busy: number;
  /** Somebody pressed the power button of that guest. */
  onPress: (name: string) => void;
}

type Drivers = {
  readonly compute: ComputeDriver;
  readonly volume: VolumeDriver;
  readonly network: NetworkDriver;
  readonly seed: SeedDriver;
};

/** The methods that change the node. Each awaited method takes time. */
const CHANGES = /^(?:ensure|request|reboot|grow|move|sweep)/;
const WAITS =
  /^(?:ensure|request|reboot|grow|move|sweep|state$|list|find$|read$|check|requireNew$|survey$|compare$)/;

/**
 * The drivers as one agent process sees them: each call takes time and may fail, before or after its work.
 * After the death of the agent, the hypervisor may still do what the agent had requested.
 */
export function simulatedDrivers(
  drivers: FakeDrivers,
  fates: NodeFates,
  process: Process,
  timeline: Timeline,
  dice: Dice,
): Drivers {
  const node = new SimulatedNode(fates, process, timeline, dice);
  return {
    compute: node.slowly<ComputeDriver>(drivers.compute, true),
    volume: node.slowly<VolumeDriver>(drivers.volume, false),
    network: node.slowly<NetworkDriver>(drivers.network, true),
    seed: node.slowly<SeedDriver>(drivers.seed, false),
  };
}

class SimulatedNode {
  readonly #fates: NodeFates;
  readonly #process: Process;
  readonly #timeline: Timeline;
  readonly #dice: Dice;

  constructor(fates: NodeFates, process: Process, timeline: Timeline, dice: Dice) {
    this.#fates = fates;
    this.#process = process;
    this.#timeline = timeline;
    this.#dice = dice;
  }

  slowly<D extends object>(driver: D, mayOutlive: boolean): D {
    return new Proxy(driver, {
      get: (target, name: string & keyof D) => {
        const method: unknown = target[name];
        if (typeof method !== "function" || !WAITS.test(name)) return method;
        return (...given: unknown[]) => {
          const act = () => Reflect.apply(method, target, given) as Promise<unknown>;
          return this.#perform(name, given, act, mayOutlive);
        };
      },
    });
  }

  async #perform(
    name: string,
    given: readonly unknown[],
    act: () => Promise<unknown>,
    mayOutlive: boolean,
  ): Promise<unknown> {
    const [fates, process, dice] = [this.#fates, this.#process, this.#dice];
    if (!process.isAlive) return await never();
    const signal = signalIn(given);
    const isChange = CHANGES.test(name);
    const fate = isChange ? fates.next.shift() : undefined;
    const subject = isChange && typeof given[0] === "string" ? given[0] : undefined;
    const isStuck = subject !== undefined && fates.stuck.has(subject);
    if (fate === "sticks" && subject !== undefined) fates.stuck.add(subject);
    if (fate !== undefined) {
      fates.happened.set(fate, (fates.happened.get(fate) ?? 0) + 1);
      this.#timeline.note(`${process.name} ${name} ${fate}`);
    }
    fates.busy += 1;
    let isActing = false;
    const forget = process.onDeath(() => {
      fates.busy -= 1;
      if (mayOutlive && !isActing && dice.chance(0.3)) void act().catch(() => undefined);
    });
    try {
      const isDeaf = dice.chance(0.5);
      await this.#wait(
        fate === "slow" ? dice.between(1_000, 60_000) : this.#quickMs(),
        isDeaf ? undefined : signal,
      );
      if (fate === "unavailable")
        throw new N0Error("unavailable", "the hypervisor does not answer");
      if (fate === "disk-full") throw diskFull();
      if (isStuck) throw new N0Error("failed_precondition", `somebody holds ${subject}`);
      if (fate === "fails") throw new Error("the driver failed");
      isActing = true;
      const result = await act();
      if (name === "requestShutdown") fates.onPress(String(given[0]));
      if (fate === "fails-late" || fate === "sticks")
        throw new Error("the driver failed when it had done its work");
      if (dice.chance(0.3)) await this.#wait(this.#quickMs(), isDeaf ? undefined : signal);
      return process.isAlive ? result : await never();
    } finally {
      if (process.isAlive) {
        forget();
        fates.busy -= 1;
      }
    }
  }

  #quickMs(): number {
    return this.#dice.chance(0.05) ? this.#dice.between(5, 300) : this.#dice.between(0.1, 4);
  }

  #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#timeline.clockOf(this.#process).sleep(ms, signal);
  }
}

function signalIn(given: readonly unknown[]): AbortSignal | undefined {
  const last = given.at(-1);
  if (last instanceof AbortSignal) return last;
  const signal = (last as { readonly signal?: unknown } | undefined)?.signal;
  return signal instanceof AbortSignal ? signal : undefined;
}
