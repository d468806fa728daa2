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
  /** The nameservers of guests. */
  readonly nameservers: readonly string[];
  /** The minimum of a block storage's request as a part of its limit, from 0 to 1. */
  readonly storageRequestRatioMin: number;
}
export type SagaContext = core.SagaContext<Api>;
export type SagaRecordStep<I extends Json> = core.SagaRecordStep<I, Api>;
export type Tx = core.Tx<Api>;

/** Like core's, with the members for the handlers of this area. */
export type StepNode = nodeSteps.StepNode<Api>;
export type NodeWork<I> = nodeSteps.NodeWork<I, Api>;
