import { expect, test } from "vitest";
import { N0Error } from "./errors.ts";
import { addLogFields, logFields, openLog, withLogFields, withoutLogFields } from "./log.ts";

function capture(level: "debug" | "info" = "info") {
  const lines: Record<string, unknown>[] = [];
  return { lines, log: openLog({ level, write: (line) => lines.push(JSON.parse(line)) }) };
}

test("a line has a level name, an ISO time and its fields", () => {
  const { lines, log } = capture();
  log.child({ part: "api" }).warn("slow", { bytes: 10n });
  expect(lines).toMatchObject([{ level: "warn", message: "slow", part: "api", bytes: "10" }]);
});

test("less severe lines are left out", () => {
  const { lines, log } = capture();
  log.debug("x");
  expect(lines).toEqual([]);
});

test("an expected failure is its chain; a bug has a stack too", () => {
  const { lines, log } = capture();
  log.error("a", { error: new N0Error("aborted", "busy") });
  log.error("b", { error: new N0Error("internal", "x", { cause: new TypeError("y") }) });
  expect(lines[0]).toMatchObject({ error: "busy" });
  expect(lines[0]).not.toHaveProperty("stack");
  expect(lines[1]).toMatchObject({
    error: "x <- TypeError: y",
    stack: expect.stringContaining("log.test.ts"),
  });
});

test("scopes nest, and what is added is seen by whoever opened the scope", async () => {
  const { lines, log } = capture();
  await withLogFields({ requestId: "r" }, async () => {
    await withLogFields({ step: "s" }, async () => {
      await Promise.resolve();
      log.info("inner");
    });
    addLogFields({ transactionId: "t" });
    expect(logFields()).toEqual({ requestId: "r", transactionId: "t" });
  });
  addLogFields({ lost: true });
  log.info("outer");
  expect(lines[0]).toMatchObject({ requestId: "r", step: "s" });
  expect(lines[1]).not.toHaveProperty("requestId");
});

test("what is set off outside of every scope bears nothing of the call that set it off", async () => {
  const { lines, log } = capture();
  const end = Promise.withResolvers<void>();
  let background: Promise<void> | undefined;
  await withLogFields({ transactionId: "t" }, async () => {
    background = withoutLogFields(async () => {
      await end.promise;
      addLogFields({ lost: true });
      log.info("background");
    });
    await Promise.resolve();
    log.info("call");
  });
  end.resolve();
  await background;
  expect(lines[0]).toMatchObject({ message: "call", transactionId: "t" });
  expect(Object.keys(lines[1] ?? {})).toEqual(["level", "time", "message"]);
});

test("no line is longer than 8 KiB, whatever its fields hold, and each is JSON", () => {
  const lines: string[] = [];
  const log = openLog({ write: (line) => lines.push(line) });
  const texts = ["x", "\u0000", "ä", "😀", '"', "\ud800"].map((letter) => letter.repeat(100_000));
  const cause = new Error(texts[0]);
  for (const text of texts) {
    withLogFields({ requestId: "r", scope: text }, () => {
      const error = new N0Error("internal", text, { cause });
      const many = Object.fromEntries(texts.map((one, i) => [`field${i}`, [one]]));
      log.child({ part: "api" }).error("a handler failed", { method: "m", ...many, text, error });
      log.child({ part: "api" }).info("short", { method: "m", text });
    });
  }
  for (const line of lines) {
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(8 << 10);
    expect(JSON.parse(line)).toMatchObject({ requestId: "r", part: "api", method: "m" });
  }
});

test("of a long field the beginning is kept, and the other fields whole", () => {
  const { lines, log } = capture();
  log.info("a", {
    long: "x".repeat(15 << 20),
    list: Array(5000).fill("y"),
    code: 7,
    gone: undefined,
  });
  expect(lines[0]).toMatchObject({ code: 7, list: expect.stringMatching(/^\["y","y",.*…$/) });
  expect(lines[0]?.["long"]).toMatch(/^x{2000,2046}…$/);
  expect(lines[0]).not.toHaveProperty("gone");
});
