import type { Json } from "../../util/json.ts";
import type { ConsoleLinks } from "../core/console-links.ts";
import type * as core from "../core/context.ts";
import type * as nodeSteps from "../core/saga/node-step.ts";
import type * as network from "../network/context.ts";
import type { ProgressBoard } from "./block-storage/volume/progress.ts";
import type { ObservedStates } from "./virtual-machine/domain/observed-states.ts";

export interface Api extends network.Api {
  readonly observed: ObservedStates;
  readonly progress: ProgressBoard;
  readonly links: ConsoleLinks;
  /** What guests are told to resolve names with. */
  readonly nameservers: readonly string[];
  /** How much of its limit a block storage must request, from 0 to 1. */
  readonly storageRequestRatioMin: number;
}
export type SagaContext = core.SagaContext<Api>;
export type SagaRecordStep<I extends Json> = core.SagaRecordStep<I, Api>;
export type Tx = core.Tx<Api>;

/** As core's, with all that this area's handlers have. */
export type StepNode = nodeSteps.StepNode<Api>;
export type NodeWork<I> = nodeSteps.NodeWork<I, Api>;
