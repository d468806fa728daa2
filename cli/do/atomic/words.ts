import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  TaskStatus_State as State,
  type TaskStatus,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { tookText } from "../../transaction/time.ts";

const WORDS: Readonly<Record<State, string>> = {
  [State.UNSPECIFIED]: "was not started",
  [State.WAITING]: "waits",
  [State.RUNNING]: "is started",
  [State.DONE]: "is finished",
  [State.FAILED]: "is failed",
  [State.IGNORED]: "is failed, ignore error",
  [State.UNDOING]: "is being undone",
  [State.UNDONE]: "is undone",
};

const ENDED: readonly State[] = [State.DONE, State.FAILED, State.IGNORED, State.UNDONE];

/** `failed`, as JSON has it. */
export function stateWord(state: State): string {
  const found = Object.entries(State).find(([, value]) => value === state);
  return (found?.[0] ?? String(state)).toLowerCase();
}

export function hasEnded({ state }: TaskStatus): boolean {
  return ENDED.includes(state);
}

/** `Task 'web' is failed: no room`, with the time that it took. */
export function taskLine({ name, state, error, duration, unchanged }: TaskStatus): string {
  if (unchanged) return `Task '${name}' has nothing to do: what it asks for is there`;
  const took = state === State.DONE && duration !== undefined ? durationMs(duration) : undefined;
  const time = took === undefined ? "" : ` (${tookText(took)})`;
  const why = error === "" || state === State.UNDOING ? "" : `: ${error}`;
  return `Task '${name}' ${WORDS[state] ?? state}${time}${why}`;
}

/** `node-1   domain.start_new of web`: where a task is. */
export function placeText({ node, step, subject }: TaskStatus): string {
  return `${node.padEnd(12)} ${step}${subject === "" ? "" : ` of ${subject}`}`;
}
