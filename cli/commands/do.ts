import { readFile } from "node:fs/promises";
import { Command, InvalidArgumentError } from "commander";
import { stringify } from "yaml";
import { counted } from "../../src/util/counted.ts";
import { isAbsent } from "../../src/util/errno.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { newAnswers, requestOf } from "../do/answers.ts";
import type { Task, TaskText } from "../do/check.ts";
import { checkTasks } from "../do/check.ts";
import { formatProblems } from "../do/problems.ts";
import type { Report } from "../do/report.ts";
import { newReport } from "../do/report.ts";
import { runTasks } from "../do/run.ts";
import { schemaText } from "../do/schema-text.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { readAll } from "../input.ts";
import { messageToJson } from "../output.ts";
import { kindOfMessage } from "../resource/kind.ts";
import { loadResources } from "../resource/resource.ts";
import type { Row } from "../table.ts";
import { textOf } from "../table.ts";

interface Flags {
  readonly parallel: number;
  readonly check?: true;
  readonly schema?: true;
}

type Answer = ReturnType<typeof messageToJson>;

export function doCommand(cli: CliContext): Command {
  const command = new Command("do")
    .description(
      "Run the tasks of YAML files, each after the tasks that it depends on. n0cli checks all files\n" +
        "before it runs any task. Several files, and several YAML documents in one, are one graph; - is\n" +
        "standard input.",
    )
    .argument("[files...]")
    .option("-p, --parallel <count>", "run at most this many tasks at once", parseCount, 10)
    .option("--check", "check the files and run nothing")
    .option("--schema", "print the JSON Schema of such files, for editors");
  withExamples(command, [
    "do examples/boot-vm.yaml",
    "do --check storages.yaml virtual-machines.yaml",
    "do --parallel 50 - < tasks.yaml",
    "do --schema > do.schema.json",
  ]);
  command.addHelpText("after", formatHelp(cli));
  return command.action(async (files: readonly string[], flags: Flags) => {
    if (flags.schema === true) {
      if (files.length > 0) throw new CliError("--schema takes no files");
      cli.io.stdout.print(await doSchema());
      return;
    }
    if (files.length === 0) throw new CliError("name a file with tasks, or - for standard input");
    const texts = await readTexts(cli, files);
    const { tasks, problems } = checkTasks(texts, await loadResources(cli.kinds));
    if (problems.length > 0) {
      for (const text of formatProblems(problems, files)) cli.say(text);
      throw new CliError(`${counted(problems.length, "problem")}. Nothing was run.`);
    }
    if (flags.check === true)
      cli.say(`Checked ${counted(tasks.size, "task")} and found no problem. Nothing was run.`);
    else await runAll(cli, tasks, flags.parallel);
  });
}

/** The same text as in examples/. */
async function doSchema(): Promise<string> {
  const { default: schema } = await import("../../examples/do.schema.json", {
    with: { type: "json" },
  });
  return schemaText(schema);
}

function formatHelp({ kinds }: CliContext): string {
  const types = kinds.map(({ name }) => name).filter((name) => name !== "block_storage");
  return `
A task:
  name-of-task:
    type: block_storage           # or ${types.join(", ")}
    action: CreateBlockStorage    # an RPC of that service (n0cli api list)
    args: {name: data, request_bytes: 1GiB, limit_bytes: 10GiB}
    depends_on: [another-task]    # optional
    ignore_error: true            # optional: continue if it fails
A top key that begins with x- is not a task. It holds values that tasks share:
  x-size: &size {request_bytes: 1GiB, limit_bytes: 10GiB}
  name-of-task:
    args: {name: data, <<: *size}
A text of args may take a value from the answer of another task, which then comes first:
  source_block_storage: \${generate-disk.name}
  ipv4_address: \${create-vm.nics[0].ipv4_address}
A task whose name has other characters than a-z, 0-9, - and _ is written in quotes, \${"a.b".name}. A \${HOME}
without a dot or bracket stays as it is, and $\${ stands for a literal \${.
An editor with a YAML language server completes and checks a file that begins with
  # yaml-language-server: $schema=do.schema.json`;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,5}$/.test(text) || count < 1) throw new InvalidArgumentError("a number from 1 up");
  return count;
}

async function readTexts(cli: CliContext, files: readonly string[]): Promise<readonly TaskText[]> {
  const repeated = files.find((file, i) => files.indexOf(file) !== i);
  if (repeated !== undefined) throw new CliError(`${repeated} is named twice`);
  const texts: TaskText[] = [];
  for (const file of files) {
    const text = file === "-" ? await readAll(cli.io.stdin) : await readTaskFile(file);
    texts.push({ file, text });
  }
  return texts;
}

async function readTaskFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (reason) {
    throw new CliError(
      isAbsent(reason) ? `${file} does not exist` : `cannot read ${file}`,
      undefined,
      reason,
    );
  }
}

/** The first interrupt stops new tasks, the second one cancels the running calls. */
async function runAll(cli: CliContext, tasks: ReadonlyMap<string, Task>, parallel: number) {
  // Opened before the first task, so that a wrong setting is not the failure of some task.
  await cli.transport();
  const asked = await cli.connection();
  const stop = new AbortController();
  const abort = new AbortController();
  const release = cli.takeInterrupts(() => (stop.signal.aborted ? abort : stop).abort());
  const report: Report<Answer> = newReport<Answer>({
    io: cli.io,
    total: tasks.size,
    asked,
    answerText: (name, answer) => answerText(cli, report.isLive, tasks.get(name), answer),
  });
  const failing = new AbortController();
  const waitSignal = AbortSignal.any([stop.signal, failing.signal]);
  const { answerOf, keep } = newAnswers(tasks);
  const call = async (task: Task) => {
    const { signal } = abort;
    const options = { signal, waitSignal, onWait: report.note };
    const request = requestOf(task, answerOf);
    const message = await callUnary(cli, task.method, request, options);
    const answer = messageToJson(task.method.output, message);
    keep(task, answer);
    return answer;
  };
  const result = await runTasks(tasks, {
    parallel,
    call,
    stop: stop.signal,
    observer: {
      ...report,
      stopping: () => {
        failing.abort();
        report.stopping();
      },
    },
  });
  release();
  report.summary(result);
  const isWhole = result.failed.length === 0 && result.notStarted.length === 0;
  if (!isWhole) cli.exitCode = stop.signal.aborted ? EXIT.interrupted : EXIT.failed;
}

/** JSON of each answer, as the original prints it. A terminal with a live line shows none. */
function answerText(
  cli: CliContext,
  isLive: boolean,
  task: Task | undefined,
  answer: Answer,
): string {
  const asked = cli.flags().output;
  if (asked === "jsonl") return `${JSON.stringify({ task: task?.name, response: answer })}\n`;
  if (asked === "yaml") return `---\n${stringify(answer)}`;
  if (asked === "name") return nameText(cli, task, answer);
  if (asked === undefined && isLive && cli.io.stdout.isTerminal) return "";
  return `${JSON.stringify(answer, null, 2)}\n\n`;
}

/** `virtual_machine/web` for a task that made or changed it; empty for a delete, which leaves nothing. */
function nameText({ kinds }: CliContext, task: Task | undefined, answer: Answer): string {
  const kind = task === undefined ? undefined : kindOfMessage(kinds, task.method.output);
  if (kind === undefined || typeof answer !== "object" || answer === null) return "";
  return `${kind.name}/${textOf((answer as Row)["name"])}\n`;
}
