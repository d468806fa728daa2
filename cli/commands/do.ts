import { Command } from "commander";
import { stringify } from "yaml";
import { counted } from "../../src/util/counted.ts";
import { runTasks } from "../../src/util/run-graph.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { newAnswers, requestOf } from "../do/answers.ts";
import { applyPlan } from "../do/atomic/apply.ts";
import { planAtomic } from "../do/atomic/plan.ts";
import { attach, runAtomic } from "../do/atomic/run-atomic.ts";
import { undo } from "../do/atomic/undo.ts";
import type { Checked, Task } from "../do/check.ts";
import { fillOutputs } from "../do/outputs.ts";
import { printOutputs } from "../do/print-outputs.ts";
import { collect, parseCount, type ReadFlags, readChecked } from "../do/read.ts";
import type { Report } from "../do/report.ts";
import { newReport } from "../do/report.ts";
import { schemaText } from "../do/schema-text.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { messageToJson } from "../output.ts";
import { kindOfMessage } from "../resource/kind.ts";
import type { Row } from "../table.ts";
import { textOf } from "../table.ts";

interface Flags extends ReadFlags {
  readonly parallel: number;
  readonly schema?: true;
  readonly atomic?: true;
  readonly plan?: true;
  readonly planOut?: string;
  readonly apply?: string;
  readonly attach?: string;
  readonly undo?: string;
  readonly discardData?: true;
  readonly restart?: true;
  readonly yes?: true;
}

type Answer = ReturnType<typeof messageToJson>;

const EXAMPLES = [
  "do examples/boot-vm.yaml",
  "do --check storages.yaml virtual-machines.yaml",
  "do --parallel 50 - < tasks.yaml",
  "do --atomic examples/boot-vm.yaml",
  "do --plan examples/boot-vm.yaml",
  "do examples/boot-vm.yaml --plan-out boot-vm.plan",
  "do --apply boot-vm.plan",
  "do --attach 0199c2f3a1b4-3f2a9c10-77e1",
  "do --undo 0199c2f3a1b4-3f2a9c10-77e1 --plan",
  "do web-servers.yaml --values lab.yaml --set count=3",
  "do --schema > do.schema.json",
];

export function doCommand(cli: CliContext): Command {
  const command = new Command("do")
    .description(
      "Run the tasks of YAML files, each after the tasks that it depends on. n0cli checks all files\n" +
        "before it runs any task. Several files, and several YAML documents in one, are one graph; - is\n" +
        "standard input.",
    )
    .argument("[files...]")
    .option("-p, --parallel <count>", "run at most this many tasks at once", parseCount, 10)
    .option("--atomic", "run all tasks as one transaction: all of it happens, or nothing")
    .option(
      "--plan",
      "print what --atomic would do, and change nothing; exit with 3 if that is anything",
    )
    .option("--plan-out <file>", "like --plan, and keep the plan in a file")
    .option("--apply <plan>", "do exactly what a plan says, as one transaction, or nothing")
    .option("--attach <id>", "show a transaction of tasks again, until it ends")
    .option("--check", "check the files and run nothing")
    .option("--set <name=value>", "the value of a parameter; repeatable", collect)
    .option("--values <file>", "a YAML file of values of parameters; repeatable", collect)
    .option("--schema", "print the JSON Schema of such files, for editors");
  withUndo(command);
  withExamples(command, EXAMPLES);
  command.addHelpText("after", formatHelp(cli));
  return command.action(async (files: readonly string[], flags: Flags) => {
    await doAny(cli, files, flags);
  });
}

function withUndo(command: Command): void {
  command
    .option("--undo <id>", "take back a committed transaction, as n0cli tx undo does")
    .option("--discard-data", "with --undo: the data of block storages that it made may be lost")
    .option(
      "--restart",
      "with --undo: virtual machines that run are restarted, where it needs that",
    )
    .option("--yes", "with --apply and --undo: without a question");
}

async function doAny(cli: CliContext, files: readonly string[], flags: Flags): Promise<void> {
  if (flags.schema === true) {
    if (files.length > 0) throw new CliError("--schema takes no files");
    cli.io.stdout.print(await doSchema());
    return;
  }
  const isAlone = files.length === 0 && [flags.atomic, flags.planOut].every((one) => !one);
  if (flags.attach !== undefined) {
    if (!isAlone) throw new CliError("--attach takes an id and no files");
    await attach(cli, flags.attach);
    return;
  }
  if (flags.undo !== undefined) {
    if (!isAlone) throw new CliError("--undo takes an id and no files");
    await undo(cli, flags.undo, flags, flags.parallel);
    return;
  }
  if (flags.apply !== undefined) {
    throwUnlessPlanAlone(files, flags);
    const { parallel, yes: isAgreed = false } = flags;
    await applyPlan(cli, flags.apply, { parallel, isAgreed });
    return;
  }
  if (flags.discardData) throw new CliError("--discard-data needs --undo");
  if (flags.restart) throw new CliError("--restart needs --undo");
  if (flags.yes) throw new CliError("--yes needs --apply or --undo");
  await doFiles(cli, files, flags);
}

async function doFiles(cli: CliContext, files: readonly string[], flags: Flags): Promise<void> {
  if (files.length === 0) throw new CliError("name a file with tasks, or - for standard input");
  const checked = await readChecked(cli, files, flags);
  if (flags.check === true) {
    const count = counted(checked.tasks.size, "task");
    cli.say(`Checked ${count} and found no problem. Nothing was run.`);
    return;
  }
  if (flags.plan || flags.planOut !== undefined) await planAtomic(cli, checked, flags.planOut);
  else if (flags.atomic) await runAtomic(cli, checked, flags.parallel);
  else await runAll(cli, checked, flags.parallel);
}

/** @throws CliError if something comes with `--apply` that the plan has settled. */
function throwUnlessPlanAlone(files: readonly string[], flags: Flags): void {
  const { atomic, plan, planOut, check, set, values } = flags;
  const others = [atomic, plan, planOut, check, set, values];
  if (files.length === 0 && others.every((flag) => flag === undefined)) return;
  throw new CliError(
    "--apply takes a plan, --parallel and --yes: it has the tasks and their values",
  );
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
Values that the user of the file chooses, with --set and --values, and values that are printed at the end:
  parameters:                     # type string, int, number, bool, size, list or map
    count: {type: int, default: 3, min: 1, max: 600, description: how many}
    image: {kind: image}          # exists before anything runs (--check does not ask); also min_length,
                                  # max_length, allowed, pattern, and secret for a value that n0cli never prints
  outputs: {names: '\${disk[*].name}'}
A task for each value of a list or a map, or for a count, called disk[0], disk[1], …:
  disk:
    for_each: \${param.count}
    args: {name: 'disk-\${each.index:03}'}   # each.key, each.value, each.index; :03 pads with zeros
  attach: {for_each: '\${param.count}', args: {name: '\${disk[each.key].name}'}, depends_on: disk}
param and each stand in args, for_each, depends_on and outputs; not in keys, names, type or action.
An editor with a YAML language server completes and checks a file that begins with
  # yaml-language-server: $schema=do.schema.json`;
}

/** The first interrupt stops new tasks, the second one cancels the running calls. */
async function runAll(cli: CliContext, { tasks, outputs }: Checked, parallel: number) {
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
  const { answerOf, keep } = newAnswers(tasks, outputs);
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
  else if (outputs.length > 0) printOutputs(cli, fillOutputs(outputs, answerOf));
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
