import { create } from "@bufbuild/protobuf";
import { OperationSchema } from "../../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type { StepScope } from "../../transaction/step.ts";
import type { SagaContext } from "./context.ts";

/** On whose behalf an agent is asked. */
export function operation(owner: string, { transactionId, generation }: StepScope) {
  return create(OperationSchema, { owner, transactionId, generation: BigInt(generation) });
}

/** What is undone, removed or finished on a node is gone already, or in vain, where the node is lost. */
export function unlessLost<I extends { readonly nodeName: string }, C extends SagaContext>(
  act: (context: C, input: I, scope: StepScope) => Promise<void>,
): (context: C, input: I, scope: StepScope) => Promise<void> {
  return async (context, input, scope) => {
    if (!context.api.agents.isLost(input.nodeName)) await act(context, input, scope);
  };
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
