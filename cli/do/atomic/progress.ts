import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  TaskStatus_State as State,
  type TaskStatus,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { pause } from "../../../src/util/clock.ts";
import type { CliContext } from "../../context.ts";
import { printable } from "../../terminal-text.ts";
import { tookText } from "../../transaction/time.ts";
import type { Followed, OnChange } from "./follow.ts";
import { hasEnded, placeText, stateWord, taskLine } from "./words.ts";

/** With more tasks than this, a terminal has a line only for what fails. */
const LINES_TASKS_MAX = 20;
/** The tasks that a terminal shows at the same time. */
const SHOWN_MAX = 12;
const DRAW_EVERY_MS = 500;

export interface Progress extends Disposable {
  readonly onChange: OnChange;
  /** Prints a line that stays. */
  note(line: string): void;
}

/** On a terminal, lines that change; else a line for each change. With `-o jsonl`, JSON on stdout for each. */
export function newProgress(cli: CliContext): Progress {
  if (cli.flags().output === "jsonl") return jsonLines(cli);
  return cli.io.stderr.isTerminal ? liveView(cli) : lines(cli);
}

function jsonLines(cli: CliContext): Progress {
  return {
    onChange: (_, changed) => {
      for (const task of changed) cli.io.stdout.print(`${JSON.stringify(jsonOf(task))}\n`);
    },
    note: cli.say,
    [Symbol.dispose]() {},
  };
}

function jsonOf({
  name,
  action,
  state,
  subject,
  step,
  node,
  error,
  startedAt,
  duration,
  unchanged,
}: TaskStatus) {
  return {
    task: name,
    action,
    state: stateWord(state),
    ...(unchanged ? { unchanged } : {}),
    ...(subject === "" ? {} : { subject }),
    ...(step === "" ? {} : { step }),
    ...(node === "" ? {} : { node }),
    ...(error === "" ? {} : { error }),
    ...(startedAt === undefined ? {} : { started_at: new Date(timestampMs(startedAt)) }),
    ...(duration === undefined ? {} : { took_ms: Math.round(durationMs(duration)) }),
  };
}

function lines(cli: CliContext): Progress {
  const told = new Map<string, State>();
  return {
    onChange: (followed, changed) => {
      for (const task of changed) {
        if (told.get(task.name) === task.state || !isNews(task)) continue;
        told.set(task.name, task.state);
        cli.say(`---> ${hasEnded(task) ? `${counts(followed)} ` : ""}${taskLine(task)}`);
      }
    },
    note: cli.say,
    [Symbol.dispose]() {},
  };
}

function isNews({ state }: TaskStatus): boolean {
  return state !== State.WAITING && state !== State.UNSPECIFIED;
}

function liveView(cli: CliContext): Progress {
  const { stderr, clock } = cli.io;
  const told = new Map<string, State>();
  let height = 0;
  let seen: Followed | undefined;
  const clear = () => {
    if (height > 0) stderr.print(`\u001b[${height}A\r\u001b[J`);
    height = 0;
  };
  const draw = () => {
    clear();
    if (seen === undefined) return;
    const rows = view(seen, clock.nowMs()).map((row) =>
      printable(row).slice(0, Math.max(20, stderr.columns - 1)),
    );
    stderr.print(rows.map((row) => `${row}\n`).join(""));
    height = rows.length;
  };
  const end = new AbortController();
  void drawAgain();
  async function drawAgain(): Promise<void> {
    while (await pause(clock, DRAW_EVERY_MS, end.signal)) draw();
  }
  return {
    onChange: (followed, changed) => {
      clear();
      seen = followed;
      const isLong = followed.tasks.size > LINES_TASKS_MAX;
      for (const task of changed) {
        const isWrong = task.state === State.FAILED || task.state === State.IGNORED;
        if (told.get(task.name) === task.state || !hasEnded(task) || (isLong && !isWrong)) continue;
        told.set(task.name, task.state);
        cli.say(`---> ${counts(followed)} ${taskLine(task)}`);
      }
      draw();
    },
    note: (line) => {
      clear();
      cli.say(line);
      draw();
    },
    [Symbol.dispose]() {
      end.abort();
      clear();
    },
  };
}

/** `[ 3/10 ]` */
function counts({ tasks }: Followed): string {
  return `[ ${[...tasks.values()].filter(hasEnded).length}/${tasks.size} ]`;
}

/** The tasks that act or are undone, below a line that counts all of them. */
function view(followed: Followed, nowMs: number): string[] {
  const all = [...followed.tasks.values()];
  const of = (...states: State[]) => all.filter(({ state }) => states.includes(state));
  const undoing = of(State.UNDOING);
  const acting = [...of(State.RUNNING), ...undoing];
  const waiting = of(State.WAITING).length;
  const words = [
    `${of(State.RUNNING).length} running`,
    ...(waiting > 0 ? [`${waiting} waiting`] : []),
    ...(undoing.length > 0 ? [`${undoing.length} to undo`] : []),
  ];
  const width = Math.min(32, Math.max(0, ...acting.map(({ name }) => name.length)));
  const rows = acting.slice(0, SHOWN_MAX).map((task) => {
    const { startedAt, name } = task;
    const ms = startedAt === undefined ? 0 : nowMs - timestampMs(startedAt);
    return `     ${name.slice(0, width).padEnd(width)} ${tookText(ms).padStart(6)} ${placeText(task)}`;
  });
  const more = acting.length - SHOWN_MAX;
  return [
    `---> ${counts(followed)} ${words.join(", ")}`,
    ...rows,
    ...(more > 0 ? [`     and ${more} more`] : []),
  ];
}
