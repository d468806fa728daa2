import type { Json } from "../util/json.ts";
import type { Retriable, Step } from "./step.ts";

/** Every step that the journal may name, so that recovery finds its undo. */
export class StepRegistry<C> {
  readonly #steps = new Map<string, Step<C, Json, unknown>>();
  readonly #retriables = new Map<string, Retriable<C, Json>>();

  /** Rows of the journal come back as the input they were written from, hence the loose type inside. */
  add<I extends Json, O>(...steps: readonly Step<C, I, O>[]): this {
    for (const step of steps) this.#put(this.#steps, step as Step<C, Json, unknown>);
    return this;
  }

  addRetriable<I extends Json>(...steps: readonly Retriable<C, I>[]): this {
    for (const step of steps) this.#put(this.#retriables, step as Retriable<C, Json>);
    return this;
  }

  step(name: string): Step<C, Json, unknown> {
    return this.#get(this.#steps, name);
  }

  retriable(name: string): Retriable<C, Json> {
    return this.#get(this.#retriables, name);
  }

  names(): { readonly steps: readonly string[]; readonly retriables: readonly string[] } {
    return { steps: [...this.#steps.keys()], retriables: [...this.#retriables.keys()] };
  }

  #put<S extends { readonly name: string }>(map: Map<string, S>, step: S): void {
    const known = map.get(step.name);
    if (known !== undefined && known !== step) throw new Error(`two steps are named ${step.name}`);
    map.set(step.name, step);
  }

  #get<S>(map: Map<string, S>, name: string): S {
    const step = map.get(name);
    if (step === undefined) throw new Error(`this version knows no step named ${name}`);
    return step;
  }
}
