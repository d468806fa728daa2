// What finds faults is itself looked at: an attack that sees nothing would always pass.
import type { JsonValue } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VerifyService } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { type Listener, listen } from "../../src/rpc/listen.ts";
import { silentLog } from "../../src/util/log.ts";
import { newDice } from "../sim/dice.ts";
import { damaged } from "./damage.ts";
import { EXAMPLES } from "./examples.ts";
import { newFindings } from "./findings.ts";
import { countFrames, frame, PREFACE } from "./h2-frames.ts";
import { type HttpClient, newHttpClient } from "./http.ts";
import { judgeLine, LINE_CHARACTERS_MAX } from "./log-rules.ts";
import { encoded, randomMessage } from "./messages.ts";
import { smallest } from "./replay.ts";
import { pathOf, victims } from "./services.ts";
import { codeOf, framed, WAYS } from "./wire.ts";

describe("a server that fails", () => {
  let listener: Listener;
  let client: HttpClient;
  beforeAll(async () => {
    const fail = () => {
      throw new Error("a bug");
    };
    listener = await listen({
      host: "127.0.0.1",
      port: 0,
      log: silentLog,
      routes: ({ service }) => service(VerifyService, { verify: fail, repair: fail }),
    });
    client = newHttpClient(listener.url);
  });
  afterAll(async () => {
    client.close();
    await listener.stop(0);
  });

  const cases = WAYS.flatMap((way) =>
    [VerifyService.method.verify, VerifyService.method.repair].map((method) => {
      const { protocol, encoding, http } = way;
      return [`${method.name} over ${protocol}, ${encoding}, HTTP/${http}`, way, method] as const;
    }),
  );
  test.each(cases)("is seen: %s", async (_, way, method) => {
    const isStream = method.methodKind !== "unary";
    const message = encoded(
      method.input,
      randomMessage(method.input, newDice(1), {}),
      way.encoding,
    );
    const framing = { isStream, timeoutMs: 5_000 };
    const { headers, body } = framed(way, [message!], framing);
    const request = { method: "POST", path: pathOf(method), headers, body, timeoutMs: 10_000 };
    const answer = await client.send(way.http, request);
    if (answer === "timed out" || "broke" in answer) throw new Error(JSON.stringify(answer));
    expect(codeOf(way, isStream, answer)).toBe("internal");
  });
});

test("the same seed draws the same requests, and another draws others", async () => {
  const all = await victims();
  const draw = (seed: number) => {
    const dice = newDice(seed);
    return Array.from({ length: 300 }, () => {
      const { method } = dice.pick(all);
      const example: JsonValue | undefined = EXAMPLES[method.name];
      const bytes = encoded(method.input, randomMessage(method.input, dice, example), "proto");
      return damaged(bytes ?? new Uint8Array(), "proto", dice).bytes.toString("hex");
    });
  };
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});

test("every example is of a method that there is, and is a message of it", async () => {
  const all = await victims();
  for (const [name, example] of Object.entries(EXAMPLES)) {
    const victim = all.find(({ method }) => method.name === name);
    expect(victim, name).toBeDefined();
    // All but the first draw may change it; one that is no such message throws.
    for (let seed = 0; seed < 5; seed++) {
      randomMessage(victim!.method.input, newDice(seed), example);
    }
  }
});

test.each([
  ["an error", JSON.stringify({ level: "error", message: "x" })],
  ["no JSON", "(node:1) Warning: x"],
  ["a long line", JSON.stringify({ level: "info", message: "x".repeat(LINE_CHARACTERS_MAX) })],
])("%s in the log is found", (_, line) => {
  const findings = newFindings();
  judgeLine(findings, "fuzz", "api", JSON.stringify({ level: "warn", message: "refused" }));
  expect(findings.list()).toEqual([]);
  judgeLine(findings, "fuzz", "api", line);
  expect(findings.list()).toHaveLength(1);
});

test("a request is made small", async () => {
  const body = Buffer.from(`${"a".repeat(100)}!${"b".repeat(500)}`);
  const request = { method: "POST", path: "/", headers: { a: "1", b: "2" }, body, timeoutMs: 1 };
  const small = await smallest(
    request,
    async ({ headers, body: bytes }) => "b" in headers && Buffer.from(bytes).includes("!"),
  );
  expect(small.headers).toEqual({ b: "2" });
  expect(Buffer.from(small.body).toString()).toBe(`${"a".repeat(100)}!`);
});

test("the requests in a conversation of HTTP/2 are counted", () => {
  const pieces = [PREFACE, frame("headers", 0, 1, Buffer.alloc(300)), frame("data", 0, 1)];
  expect(countFrames("headers", [...pieces, frame("headers", 0, 3)])).toBe(2);
});
