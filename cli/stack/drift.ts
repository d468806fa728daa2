import { create } from "@bufbuild/protobuf";
import {
  CheckStackRequestSchema,
  type CheckStackResponse,
  type StackObject,
  StackService,
  StackObject_State as State,
} from "../../src/gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";

export async function checkStack(cli: CliContext, name: string): Promise<CheckStackResponse> {
  return await callUnary(
    cli,
    StackService.method.checkStack,
    create(CheckStackRequestSchema, { name }),
  );
}

export function isMoved({ state }: StackObject): boolean {
  return state === State.CHANGED || state === State.GONE;
}

/** What somebody has changed, for people. */
export function driftLines({ drifts }: StackObject): readonly string[] {
  return drifts.map(({ field, left, present }) => `${field} is ${present}, and was ${left}`);
}
