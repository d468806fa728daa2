import { styleText } from "node:util";
import { ConnectError } from "@connectrpc/connect";
import type { Ending, RunObserver, RunResult } from "../../src/util/run-graph.ts";
import { type Asked, explainFailure } from "../failure.ts";
import type { Io } from "../io.ts";

/** With more tasks than this a terminal shows one line that changes, instead of one for each event. */
const LINES_TASKS_MAX = 20;
const NAMES_MAX = 50;

export interface Report<T> extends RunObserver<T> {
  /** Prints a line that stays, such as one about waiting. */
  note(line: string): void;
  summary(result: RunResult): void;
  readonly isLive: boolean;
}

export interface ReportOptions<T> {
  readonly io: Io;
  readonly total: number;
  /** The connection of the calls; hints about an absent server or a missing token mention it. */
  readonly asked: Asked;
  /** The text for stdout about an answer; empty for none. */
  answerText(name: string, answer: T): string;
}

/** Progress on stderr in the words of the original, answers on stdout. */
export function newReport<T>(options: ReportOptions<T>): Report<T> {
  const { io, total, answerText } = options;
  const isLive = io.stderr.isTerminal && total > LINES_TASKS_MAX;
  const screen = newScreen(io);
  const running = new Set<string>();
  let ended = 0;

  const draw = () => {
    if (!isLive || running.size === 0) return;
    screen.draw(`---> [ ${ended}/${total} ] ${running.size} running: ${[...running].join(", ")}`);
  };
  const line = (text: string) => {
    screen.line(text);
    draw();
  };
  return {
    isLive,
    started(name) {
      running.add(name);
      if (isLive) draw();
      else line(`---> Task '${name}' is started`);
    },
    ended(name, ending, done) {
      running.delete(name);
      ended = done;
      const isQuiet = isLive && (ending.kind === "finished" || ending.kind === "ignored");
      if (!isQuiet) line(endingLine(`---> [ ${done}/${total} ] Task '${name}'`, ending, options));
      screen.clear();
      if ("answer" in ending) io.stdout.print(answerText(name, ending.answer));
      draw();
    },
    stopping: () => line("---> Wait to finish requested tasks"),
    note: line,
    summary(result) {
      screen.clear();
      io.stderr.print(summaryText(result));
    },
  };
}

function endingLine<T>(start: string, ending: Ending<T>, { io, asked }: ReportOptions<T>) {
  const hasColors = io.stderr.isTerminal && (io.env["NO_COLOR"] ?? "") === "";
  const paint = (color: "green" | "red" | "yellow", text: string) =>
    hasColors ? styleText(color, text, { validateStream: false }) : text;
  if ("answer" in ending) {
    if (ending.kind === "finished") return paint("green", `${start} is finished`);
    return paint("red", `${start}, which was requested until failed, is finished`);
  }
  const { lines } = explainFailure(ConnectError.from(ending.error), asked);
  if (ending.kind === "ignored") {
    return `${paint("yellow", `${start} is failed, ignore error:`)} ${lines[0] ?? ""}`;
  }
  return `${paint("red", `${start} is failed:`)} ${lines.join("\n     ")}`;
}

/** Prints lines that stay, and at most one line below them that changes. */
function newScreen({ stderr }: Io) {
  let isShown = false;
  const clear = () => {
    if (isShown) stderr.print("\r\u001b[K");
    isShown = false;
  };
  return {
    clear,
    line(text: string) {
      clear();
      stderr.print(`${text}\n`);
    },
    draw(text: string) {
      stderr.print(`\r\u001b[K${text.slice(0, Math.max(20, stderr.columns - 1))}`);
      isShown = true;
    },
  };
}

function summaryText({ done, failed, notStarted }: RunResult): string {
  if (failed.length === 0 && notStarted.length === 0) return "DAG tasks are completed\n";
  return [
    names("done", done, NAMES_MAX),
    names("failed", failed, Infinity),
    names("not started", notStarted, NAMES_MAX),
    "Failed to do tasks\n",
  ].join("");
}

function names(title: string, list: readonly string[], max: number): string {
  if (list.length === 0) return "";
  const rest = list.length > max ? ` and ${list.length - max} more` : "";
  return `${title} (${list.length}): ${list.slice(0, max).join(", ")}${rest}\n`;
}
