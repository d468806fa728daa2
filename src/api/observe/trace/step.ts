import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type TraceStep_Place,
  type TraceStepSchema,
  TraceVerdict as Verdict,
} from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";

export interface At {
  readonly place: TraceStep_Place;
  readonly nodeName: string;
}

/** What one place does with the packet. */
export type Step = At & { readonly verdict: Verdict } & MessageInitShape<typeof TraceStepSchema>;

export function passes(at: At, reason: string): Step {
  return { ...at, verdict: Verdict.PASSES, reason };
}

export function stops(at: At, reason: string): Step {
  return { ...at, verdict: Verdict.STOPS, reason };
}

export function unknown(at: At, reason: string): Step {
  return { ...at, verdict: Verdict.UNKNOWN, reason };
}

/** What holds for all of them together. */
export function verdictOf(steps: readonly Step[]): Verdict {
  const has = (verdict: Verdict) => steps.some((step) => step.verdict === verdict);
  if (has(Verdict.STOPS)) return Verdict.STOPS;
  return has(Verdict.UNKNOWN) ? Verdict.UNKNOWN : Verdict.PASSES;
}
