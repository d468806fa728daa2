import { newFrontier } from "./dag.ts";

/** How a task ended. `late`: it succeeded after another task had failed. */
export type Ending<T> =
  | { readonly kind: "finished" | "late"; readonly answer: T }
  | { readonly kind: "failed" | "ignored"; readonly error: unknown };

export interface RunnableTask {
  readonly name: string;
  readonly dependsOn: readonly string[];
  readonly ignoreError: boolean;
}

/** Is called for each event, in order. */
export interface RunObserver<T> {
  started(name: string): void;
  /** `done` counts the tasks that have ended, this one too. */
  ended(name: string, ending: Ending<T>, done: number): void;
  /** No further task will start. Called at most once, and only if some task still runs. */
  stopping(): void;
}

export interface RunOptions<K extends RunnableTask, T> {
  /** At most this many tasks run at once. */
  readonly parallel: number;
  call(task: K): Promise<T>;
  readonly observer: RunObserver<T>;
  /** Aborts to start no further task; running tasks are waited for. */
  readonly stop: AbortSignal;
}

export interface RunResult {
  readonly done: readonly string[];
  readonly failed: readonly string[];
  readonly notStarted: readonly string[];
}

/**
 * Runs each task when all tasks that it depends on have succeeded, or failed with `ignoreError`. After the
 * first failure no further task starts in the whole graph, and running tasks are waited for. The graph must
 * be acyclic and complete. Never rejects.
 */
export async function runTasks<K extends RunnableTask, T>(
  tasks: ReadonlyMap<string, K>,
  options: RunOptions<K, T>,
): Promise<RunResult> {
  const { parallel, call, observer, stop } = options;
  const frontier = newFrontier(new Map([...tasks].map(([name, t]) => [name, t.dependsOn])));
  const ready = [...frontier.first];
  const started = new Set<string>();
  const done: string[] = [];
  const failed: string[] = [];
  const isStopping = () => stop.aborted || failed.length > 0;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let running = 0;

  const finish = (task: K, ending: Ending<T>) => {
    running -= 1;
    const hadFailed = failed.length > 0;
    (ending.kind === "failed" ? failed : done).push(task.name);
    observer.ended(task.name, ending, done.length + failed.length);
    if (ending.kind === "failed") {
      if (!hadFailed && !stop.aborted && running > 0) observer.stopping();
    } else ready.push(...frontier.done(task.name));
    startReady();
  };
  const start = (task: K) => {
    running += 1;
    started.add(task.name);
    observer.started(task.name);
    call(task).then(
      (answer) => finish(task, { kind: failed.length > 0 ? "late" : "finished", answer }),
      (error: unknown) => finish(task, { kind: task.ignoreError ? "ignored" : "failed", error }),
    );
  };
  const startReady = () => {
    while (!isStopping() && running < parallel) {
      const task = tasks.get(ready.shift() ?? "");
      if (task === undefined) break;
      start(task);
    }
    if (running === 0) end();
  };
  const onStop = () => {
    if (running > 0 && failed.length === 0) observer.stopping();
  };
  stop.addEventListener("abort", onStop);
  startReady();
  await ended;
  stop.removeEventListener("abort", onStop);
  return { done, failed, notStarted: [...tasks.keys()].filter((name) => !started.has(name)) };
}
