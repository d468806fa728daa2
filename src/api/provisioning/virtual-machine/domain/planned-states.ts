import { objectKey } from "../../../../datastore/key.ts";
import type { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { Ref } from "../../../../util/ref.ts";
import type { Api } from "../../context.ts";
import { ObservedStates, type Sighting } from "./observed-states.ts";

/**
 * The states of domains as they would be in a plan: those to which its tasks have led, and else those of the nodes.
 * Nobody outside of the plan learns of them.
 */
export class PlannedStates extends ObservedStates {
  readonly #real: ObservedStates;
  readonly #led = new Map<string, DomainState>();

  constructor({ observed, agents, inventory, clock, log }: Api) {
    super(agents, inventory, clock, log);
    this.#real = observed;
  }

  override find(nodeName: string, ref: Ref): DomainState | undefined {
    return this.#led.get(objectKey(ref)) ?? this.#real.find(nodeName, ref);
  }

  override async read(nodeName: string, ref: Ref, signal: AbortSignal): Promise<DomainState> {
    return this.#led.get(objectKey(ref)) ?? (await this.#real.read(nodeName, ref, signal));
  }

  override sight(_: string, ref: Ref): Sighting {
    return {
      note: (state) => void this.#led.set(objectKey(ref), state),
      [Symbol.dispose]: () => {},
    };
  }
}
