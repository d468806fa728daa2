import { expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { newFakeClock } from "../../test/fake-clock.ts";
import { openLog } from "../util/log.ts";
import { progressStream } from "./progress-stream.ts";

/** A stream whose work is led by the test, and what its reader has got. */
function start() {
  const clock = newFakeClock();
  const client = new AbortController();
  const lines: string[] = [];
  const log = openLog({ write: (line) => lines.push(JSON.parse(line).message) });
  const work = Promise.withResolvers<string>();
  let say: (progress: number) => void = () => {};
  const stream = progressStream<number, string>(
    { clock, log, signal: client.signal },
    (onProgress) => {
      say = onProgress;
      return work.promise;
    },
  );
  const got: number[] = [];
  const read = async () => {
    for (;;) {
      const step = await stream.next();
      if (step.done === true) return step.value;
      got.push(step.value);
    }
  };
  return {
    clock,
    client,
    lines,
    work,
    stream,
    got,
    read,
    say: (progress: number) => say(progress),
  };
}

test("yields the first progress at once, then the latest every 500 ms, then the result", async () => {
  const { clock, work, got, read, say } = start();
  const result = read();
  say(1);
  await clock.advance(0);
  expect(got).toEqual([1]);
  for (let n = 2; n <= 21; n += 1) {
    say(n);
    await clock.advance(50);
  }
  expect(got).toEqual([1, 11, 21]);
  await clock.advance(10_000);
  expect(got).toEqual([1, 11, 21]);
  say(22);
  await clock.advance(0);
  expect(got).toEqual([1, 11, 21, 22]);
  say(23);
  work.resolve("path");
  expect(await result).toBe("path");
  expect(clock.sleepers).toBe(0);
});

test("ends at once when the work ends, in the middle of a pause and without any progress", async () => {
  const slow = start();
  const result = slow.read();
  slow.say(1);
  await slow.clock.advance(10);
  slow.work.resolve("done");
  expect(await result).toBe("done");

  const silent = start();
  silent.work.resolve("done");
  expect(await silent.read()).toBe("done");
});

test("throws what the work throws", async () => {
  const { work, read } = start();
  const result = read();
  work.reject(new Error("disk full"));
  await expect(result).rejects.toThrow("disk full");
});

test("a client that hangs up ends the stream and not the work", async () => {
  const { clock, client, lines, work, read, say } = start();
  const result = read();
  say(1);
  await clock.advance(10);
  client.abort(new Error("hung up"));
  await expect(result).rejects.toThrow("hung up");
  say(2);
  expect(lines).toEqual(["the client hung up; its work goes on"]);
  work.resolve("done");
  await clock.advance(0);
  expect(lines).toEqual([
    "the client hung up; its work goes on",
    "work succeeded after its client hung up",
  ]);
  expect(clock.sleepers).toBe(0);
});

test("work that fails when nobody listens is logged and breaks nothing", async () => {
  const { clock, lines, work, stream, say } = start();
  const first = stream.next();
  say(1);
  expect(await first).toEqual({ done: false, value: 1 });
  await stream.return("nobody reads it");
  work.reject(new Error("superseded"));
  await clock.advance(0);
  expect(lines.at(-1)).toBe("work failed after its client hung up");
});

test("a reader that is slow gets the latest and never stops the work", async () => {
  const clock = newFakeClock();
  const options = {
    clock,
    log: openLog({ write: () => {} }),
    signal: new AbortController().signal,
  };
  let said = 0;
  const stream = progressStream<number, void>(options, async (onProgress) => {
    for (; said < 1000; said += 1) onProgress(said);
  });
  expect(await collect(stream)).toEqual([]);
  expect(said).toBe(1000);
});
