import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import type { Ending, RunnableTask, RunResult } from "./run-graph.ts";
import { runTasks } from "./run-graph.ts";

interface PlannedTask extends RunnableTask {
  readonly fails: boolean;
}

interface Played {
  readonly result: RunResult;
  readonly events: string[];
  readonly endings: Map<string, Ending<string>["kind"]>;
  readonly runningMax: number;
}

/** Plays a whole run: whenever nothing else can happen, the call that `choose` picks ends. */
async function play(
  tasks: readonly PlannedTask[],
  parallel: number,
  choose: (count: number) => number,
  stopAfter = Infinity,
): Promise<Played> {
  const open = new Map<string, () => void>();
  const events: string[] = [];
  const endings = new Map<string, Ending<string>["kind"]>();
  const stop = new AbortController();
  let runningMax = 0;
  let isOver = false;
  const running = runTasks(new Map(tasks.map((t) => [t.name, t])), {
    parallel,
    stop: stop.signal,
    call: (task) =>
      new Promise<string>((resolve, reject) => {
        const end = () => (task.fails ? reject(new Error("no")) : resolve(task.name));
        open.set(task.name, end);
        runningMax = Math.max(runningMax, open.size);
      }),
    observer: {
      started: (name) => void events.push(`+${name}`),
      ended(name, ending, done) {
        events.push(`-${name}`);
        endings.set(name, ending.kind);
        expect(done).toBe(endings.size);
      },
      stopping: () => void events.push("stopping"),
    },
  }).finally(() => {
    isOver = true;
  });
  for (let i = 0; !isOver; i += 1) {
    if (i === stopAfter) stop.abort();
    const names = [...open.keys()];
    const name = names[choose(Math.max(1, names.length))] ?? names[0];
    open.get(name ?? "")?.();
    open.delete(name ?? "");
    await new Promise(setImmediate);
  }
  return { result: await running, events, endings, runningMax };
}

const anyTasks: fc.Arbitrary<PlannedTask[]> = fc
  .array(
    fc.record({
      dependsOn: fc.array(fc.nat(1000), { maxLength: 3 }),
      ignoreError: fc.boolean(),
      fails: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 15 },
  )
  .map((rows) =>
    rows.map((row, i) => ({
      ...row,
      name: `t${i}`,
      dependsOn: i === 0 ? [] : row.dependsOn.map((d) => `t${d % i}`),
    })),
  );

test("whatever fails, in whatever order calls end, the rules of a run hold", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyTasks,
      fc.integer({ min: 1, max: 5 }),
      fc.nat(),
      async (tasks, parallel, seed) => {
        const { result, events, endings, runningMax } = await play(
          tasks,
          parallel,
          (n) => seed % n,
        );
        expect(runningMax).toBeLessThanOrEqual(parallel);
        const everyone = [...result.done, ...result.failed, ...result.notStarted].sort();
        expect(everyone).toEqual(tasks.map((t) => t.name).sort());

        const failedAt = events.findIndex(
          (e) => endings.get(e.slice(1)) === "failed" && e[0] === "-",
        );
        if (failedAt >= 0) {
          expect(events.slice(failedAt).filter((e) => e.startsWith("+"))).toEqual([]);
        } else expect(result.notStarted).toEqual([]);
        for (const task of tasks) {
          const at = events.indexOf(`+${task.name}`);
          if (at < 0) continue;
          for (const d of task.dependsOn) {
            const endedAt = events.indexOf(`-${d}`);
            expect(endedAt >= 0 && endedAt < at && endings.get(d) !== "failed").toBe(true);
          }
          const expected = !task.fails
            ? ["finished", "late"]
            : [task.ignoreError ? "ignored" : "failed"];
          expect(expected).toContain(endings.get(task.name));
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("a stop starts nothing more, waits for what runs, and says so once", async () => {
  const tasks = ["a", "b", "c", "d"].map((name, i) => ({
    name,
    dependsOn: i < 2 ? [] : ["a"],
    ignoreError: false,
    fails: false,
  }));
  const { result, events } = await play(tasks, 10, () => 0, 0);
  expect(events).toEqual(["+a", "+b", "stopping", "-a", "-b"]);
  expect(result).toEqual({ done: ["a", "b"], failed: [], notStarted: ["c", "d"] });
});

test("every free task runs at once, up to the limit", async () => {
  const tasks = Array.from({ length: 30 }, (_, i) => ({
    name: `t${i}`,
    dependsOn: [],
    ignoreError: false,
    fails: false,
  }));
  expect((await play(tasks, 10, () => 0)).runningMax).toBe(10);
});
