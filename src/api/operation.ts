import { create } from "@bufbuild/protobuf";
import { OperationSchema } from "../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type { StepScope } from "../transaction/step.ts";

/** On whose behalf an agent is asked. */
export function operation(owner: string, { transactionId, generation }: StepScope) {
  return create(OperationSchema, { owner, transactionId, generation: BigInt(generation) });
}

/** For work that an agent does at once. */
export const QUICK_MS = 30_000;
/** For what the hypervisor may queue behind many others. */
export const DOMAIN_MS = 180_000;

export function quick({ signal }: { readonly signal: AbortSignal }) {
  return { signal, timeoutMs: QUICK_MS };
}

export function patient({ signal }: { readonly signal: AbortSignal }) {
  return { signal, timeoutMs: DOMAIN_MS };
}
