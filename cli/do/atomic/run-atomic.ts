import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { stringify } from "yaml";
import {
  RunTasksRequestSchema,
  TaskService,
  type TaskStatus,
  TaskStatusSchema,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import {
  CancelTransactionRequestSchema,
  Phase,
  TransactionService,
} from "../../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { counted } from "../../../src/util/counted.ts";
import { callUnary } from "../../call.ts";
import type { CliContext } from "../../context.ts";
import { EXIT } from "../../exit-code.ts";
import { messageToJson } from "../../output.ts";
import { exitCodeOf } from "../../transaction/words.ts";
import type { Checked } from "../check.ts";
import { fillOutputs, type Output } from "../outputs.ts";
import { printOutputs } from "../print-outputs.ts";
import { askAtInterrupt } from "./ask-at-interrupt.ts";
import { type Followed, followTasks } from "./follow.ts";
import { newProgress } from "./progress.ts";
import { wireTask } from "./wire-task.ts";

/** Runs the tasks as one transaction on the server, and shows it until its end. Sets the exit code. */
export async function runAtomic(
  cli: CliContext,
  { tasks, outputs }: Checked,
  parallel: number,
): Promise<void> {
  const typeOf = (name: string) => tasks.get(name)?.method.output;
  await runRequest(
    cli,
    { tasks: [...tasks.values()].map(wireTask), parallel },
    { outputs, typeOf },
  );
}

/** What the outputs of a file are made from. */
export interface Answers {
  readonly outputs: readonly Output[];
  /** The type of the answer of a task. */
  typeOf(name: string): DescMessage | undefined;
}

/** The same, of tasks as the API has them. */
export async function runRequest(
  cli: CliContext,
  tasks: MessageInitShape<typeof RunTasksRequestSchema>,
  { outputs, typeOf }: Answers,
): Promise<void> {
  const request = create(RunTasksRequestSchema, { ...tasks, detach: true });
  const { transactionId } = await callUnary(cli, TaskService.method.runTasks, request);
  if (cli.flags().wait === false) {
    cli.io.stdout.print(`${transactionId}\n`);
    return;
  }
  const end = await attach(cli, transactionId);
  if (end?.transaction.phase !== Phase.DONE) return;
  const answerOf = (name: string) => {
    const answer = end.tasks.get(name)?.answer;
    const type = typeOf(name);
    return answer && type && { type, json: answer };
  };
  if (outputs.length > 0) printOutputs(cli, fillOutputs(outputs, answerOf));
}

/**
 * Shows a transaction of tasks until its end, and sets the exit code.
 *
 * @returns undefined if the user does not want to see more.
 */
export async function attach(cli: CliContext, id: string): Promise<Followed | undefined> {
  const leave = new AbortController();
  using progress = newProgress(cli);
  using _asking = askAtInterrupt(cli, {
    note: progress.note,
    detach: () => leave.abort(),
    cancel: () => cancel(cli, id),
  });
  cli.interruptNotice = "";
  progress.note(`---> Transaction ${id}`);
  const end = await followTasks(cli, id, leave.signal, progress.onChange);
  progress[Symbol.dispose]();
  if (end === undefined || leave.signal.aborted) {
    cli.say(
      `Detached: the transaction goes on. See n0cli do --attach ${id}, or n0cli tx cancel ${id}`,
    );
    cli.exitCode = EXIT.interrupted;
    return undefined;
  }
  printEnd(cli, id, end);
  return end;
}

async function cancel(cli: CliContext, id: string): Promise<void> {
  const request = create(CancelTransactionRequestSchema, { id });
  await callUnary(cli, TransactionService.method.cancelTransaction, request);
}

function printEnd(cli: CliContext, id: string, { transaction, tasks }: Followed): void {
  const { phase, error, hindrance } = transaction;
  cli.exitCode = exitCodeOf(transaction);
  printStatuses(cli, [...tasks.values()]);
  if (phase === Phase.DONE) cli.say("DAG tasks are completed");
  else if (phase === Phase.UNDONE) {
    cli.say(error);
    cli.say(`Nothing was changed: ${counted(tasks.size, "task")} undone`);
  } else {
    cli.say(hindrance === "" ? error : hindrance);
    cli.say(`The transaction needs an operator: see n0cli tx show ${id}`);
  }
}

/** For a program that asks for JSON or YAML: each task with its answer. */
function printStatuses(cli: CliContext, tasks: readonly TaskStatus[]): void {
  const { output } = cli.flags();
  if (output !== "json" && output !== "yaml") return;
  const json = { tasks: tasks.map((task) => messageToJson(TaskStatusSchema, task)) };
  const text = output === "yaml" ? `---\n${stringify(json)}` : `${JSON.stringify(json, null, 2)}\n`;
  cli.io.stdout.print(text);
}
