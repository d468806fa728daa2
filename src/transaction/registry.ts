import type { Json } from "../util/json.ts";
import type { StepRow } from "./journal.ts";
import type { AnyStep, Retriable } from "./step.ts";

/** All steps that the journal may name, so that recovery finds their undo. */
export class StepRegistry<C, W = never> {
  readonly #steps = new Map<string, AnyStep<C, Json, unknown, W, unknown>>();
  readonly #retriables = new Map<string, Retriable<C, Json>>();
  /** Steps that no saga runs any more. */
  readonly #former = new Set<string>();

  /** A row of the journal has the input that the step wrote, so the type inside is loose. */
  add<I extends Json, O, S>(...steps: readonly AnyStep<C, I, O, W, S>[]): this {
    for (const step of steps) this.#put(this.#steps, step as AnyStep<C, Json, unknown, W, unknown>);
    return this;
  }

  addRetriable<I extends Json>(...steps: readonly Retriable<C, I>[]): this {
    for (const step of steps) this.#put(this.#retriables, step as Retriable<C, Json>);
    return this;
  }

  /** Steps after the pivot that only journals of older versions name. */
  addFormerRetriable<I extends Json>(...steps: readonly Retriable<C, I>[]): this {
    for (const { name } of steps) this.#former.add(name);
    return this.addRetriable(...steps);
  }

  /** For a row of the journal, also of one that an older version has written. */
  step(name: string): AnyStep<C, Json, unknown, W, unknown> {
    const step = this.#get(this.#steps, name);
    return converting(step, (today) => ({
      undo: (context, input, scope) => step.undo(context, today(input), scope),
    }));
  }

  /** As `step`, after the pivot. */
  retriable(name: string): Retriable<C, Json> {
    const step = this.#get(this.#retriables, name);
    return converting(step, (today) => ({
      act: (context, input, scope) => step.act(context, today(input), scope),
    }));
  }

  /** True if a step works on a node, and may wait for it. Other steps only write records. */
  actsOnNode({ name, phase }: Pick<StepRow, "name" | "phase">): boolean {
    const isAfterPivot = phase === "pending" || phase === "done";
    return isAfterPivot ? this.retriable(name).leaves !== undefined : "act" in this.step(name);
  }

  /** Of the steps that sagas run. */
  names(): { readonly steps: readonly string[]; readonly retriables: readonly string[] } {
    const retriables = [...this.#retriables.keys()].filter((name) => !this.#former.has(name));
    return { steps: [...this.#steps.keys()], retriables };
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

interface ReadsOlder {
  today?(input: Json): Json;
  leaves?(input: Json): string;
}

/** The step as it works on the input of any version. `work` makes those of its functions that take an input. */
function converting<S extends ReadsOlder>(
  step: S,
  work: (today: (input: Json) => Json) => Partial<S>,
): S {
  const { today, leaves } = step;
  if (today === undefined) return step;
  return {
    ...step,
    ...work(today),
    ...(leaves === undefined ? {} : { leaves: (input: Json) => leaves(today(input)) }),
  };
}
