import type { Json } from "../util/json.ts";
import { StepRegistry } from "./registry.ts";

/**
 * Stands for an act, or an undo, that reaches a node.
 *
 * @throws N0Error as it would, as far as that is known without it.
 */
export type Rehearse = (input: Json) => void;

/** The steps of an engine that only shows what would happen. What reaches a node does nothing. */
export class RehearsalRegistry<C, W = never> extends StepRegistry<C, W> {
  readonly #rehearse: Rehearse;

  constructor(rehearse: Rehearse) {
    super();
    this.#rehearse = rehearse;
  }

  override step(name: string): ReturnType<StepRegistry<C, W>["step"]> {
    const step = super.step(name);
    return "act" in step ? { ...step, undo: async () => {} } : step;
  }

  override retriable(name: string): ReturnType<StepRegistry<C, W>["retriable"]> {
    const step = super.retriable(name);
    const act = async (_: C, input: Json) => this.#rehearse(input);
    return step.leaves === undefined ? step : { ...step, act };
  }
}
