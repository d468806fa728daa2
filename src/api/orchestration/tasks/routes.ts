import type { ServiceImpl } from "@connectrpc/connect";
import type { TaskService } from "../../../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Known } from "./check.ts";
import { type Planning, planTasks } from "./plan-tasks.ts";
import { runTasks } from "./run-tasks.ts";
import { watchTasks } from "./watch-tasks.ts";

export function taskRoutes(
  api: Api,
  known: Known,
  openPlanning: () => Promise<Planning>,
): ServiceImpl<typeof TaskService> {
  return {
    planTasks: (request, call) => planTasks(api, known.types, openPlanning, call, request),
    runTasks: (request, call) => runTasks(api, known, call, request),
    watchTasks: ({ transactionId }, call) => watchTasks(api, known, call, transactionId),
  };
}
