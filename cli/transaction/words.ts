import type {
  Asker,
  Transaction,
  Wait,
} from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { Phase, Step_State } from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { EXIT } from "../exit-code.ts";
import { betweenMs, timeText, tookText } from "./time.ts";

const PHASE_OF: Readonly<Record<string, Phase>> = {
  running: Phase.RUNNING,
  committed: Phase.COMMITTED,
  unwinding: Phase.UNWINDING,
  done: Phase.DONE,
  unwound: Phase.UNDONE,
  needs_operator: Phase.NEEDS_OPERATOR,
};

/** As commands write them: `needs_operator`. */
export const PHASES: readonly string[] = Object.keys(PHASE_OF);

export function phaseText(phase: Phase): string {
  return phase === Phase.UNDONE ? "unwound" : nameIn(Phase, phase);
}

/** `word` as a command writes it, or as the API's JSON does: `undone`. */
export function findPhase(word: string): Phase | undefined {
  return word === "undone" ? Phase.UNDONE : PHASE_OF[word];
}

export function stateText(state: Step_State): string {
  return nameIn(Step_State, state);
}

/** A newer API may send a value that has no name here. */
function nameIn(names: Readonly<Record<string, number>>, value: number): string {
  const found = Object.keys(names).find((name) => names[name] === value);
  return (found ?? String(value)).toLowerCase();
}

/** True if it does not continue by itself. */
export function isOver({ phase }: Transaction): boolean {
  return phase === Phase.DONE || phase === Phase.UNDONE || phase === Phase.NEEDS_OPERATOR;
}

/** The exit code for a transaction that the user wants committed. */
export function exitCodeOf({ phase }: Transaction): number {
  if (phase === Phase.NEEDS_OPERATOR) return EXIT.needsOperator;
  if (phase === Phase.DONE) return EXIT.done;
  return phase === Phase.UNDONE ? EXIT.failed : EXIT.timedOut;
}

/** `user/alice with n0cli/0.1.0 at 10.0.0.7`; empty if nothing is known. */
export function askerText(asker: Asker | undefined): string {
  const { principal = "", userAgent = "", peer = "" } = asker ?? {};
  const client = principal === "" || userAgent === "" ? userAgent : `with ${userAgent}`;
  const parts = [principal, client, peer === "" ? "" : `at ${peer}`];
  return parts.filter((text) => text !== "").join(" ");
}

/** The thing that it waits for, and the time that it has waited; empty if it does not wait. */
export function waitText(wait: Wait | undefined, nowMs: number): string {
  if (wait === undefined) return "";
  const forMs = betweenMs(wait.since, undefined, nowMs);
  return `${causeText(wait, nowMs)}, for ${tookText(Math.max(0, forMs))}`;
}

function causeText({ cause }: Wait, nowMs: number): string {
  switch (cause.case) {
    case "lock": {
      const { resource, holderRpc, holderTransactionId: id } = cause.value;
      if (holderRpc === "") return resource;
      return `${resource}, held by ${holderRpc}${id === "" ? "" : ` (${id})`}`;
    }
    case "node":
      return `node ${cause.value.node} to answer ${cause.value.step}`;
    case "nextTry": {
      const { step, node, nextTryAt } = cause.value;
      const inMs = -betweenMs(nextTryAt, undefined, nowMs);
      const where = node === "" ? "" : ` on ${node}`;
      return `the next try of ${step}${where} at ${timeText(nextTryAt)} (in ${tookText(inMs)})`;
    }
    case "transactionId":
      return `transaction ${cause.value}`;
    default:
      return "something";
  }
}
