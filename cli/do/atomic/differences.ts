import {
  type PlannedStep,
  type PlanTasksResponse,
  TaskStatus_State as State,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { placeOf, placeText } from "../../../src/util/task-place.ts";
import { actText, changeText } from "./plan.ts";
import type { Plan } from "./plan-file.ts";

/** What a new plan of the same tasks does differently: a sentence for each task or part. */
export function differencesOf({ tasks, planned: plan }: Plan, now: PlanTasksResponse): string[] {
  const ofTasks = plan.tasks.flatMap(({ status, steps }, i) => {
    const found = now.tasks[i];
    const what = `task "${status?.name}"`;
    const [says, is] = [status, found?.status].map((one) =>
      one?.state === State.DONE ? placeText(placeOf(one.answer, tasks[i]?.args)) : "not done",
    );
    if (says !== is) return [`${what}: would be ${is}, the plan says ${says}`];
    return difference(what, stepTexts(steps), stepTexts(found?.steps ?? []));
  });
  return [
    ...ofTasks,
    ...difference("the end of all tasks", stepTexts(plan.finals), stepTexts(now.finals)),
    ...difference("other transactions", otherTexts(plan), otherTexts(now)),
    ...difference("the changes", changeTexts(plan), changeTexts(now)),
  ];
}

/** Names the first one that differs. */
function difference(what: string, plan: readonly string[], now: readonly string[]): string[] {
  const at = Array.from({ length: Math.max(plan.length, now.length) }, (_, i) => i);
  const first = at.find((i) => plan[i] !== now[i]);
  if (first === undefined) return [];
  return [
    `${what}: would be ${now[first] ?? "nothing"}, the plan says ${plan[first] ?? "nothing"}`,
  ];
}

/** Without what an undo removes, which may have a random name. */
function stepTexts(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map(actText);
}

function otherTexts({ others }: PlanTasksResponse): readonly string[] {
  return others.flatMap(({ rpc, steps }) => [rpc, ...stepTexts(steps)]);
}

function changeTexts({ changes }: PlanTasksResponse): readonly string[] {
  return changes.map(changeText);
}
