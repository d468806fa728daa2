import { gzipSync } from "node:zlib";
import { create, type DescMessage, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { EnsureSeedRequestSchema } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  SurveyAgentService,
  SurveyRequestSchema,
} from "../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { ListNetworksRequestSchema } from "../../gen/n0stack/pool/v0/network_pb.ts";
import { VerifyRequestSchema } from "../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { silentLog } from "../../util/log.ts";
import { listen } from "../listen.ts";
import { checkEntries, ENTRIES_MAX } from "./entries.ts";

function repeated(times: number, ...bytes: number[]): Buffer {
  return Buffer.alloc(times * bytes.length, Buffer.from(bytes));
}

function delimited(number: number, inner: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = inner.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest < 128 ? rest : (rest % 128) | 0x80);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), inner]);
}

function envelope(flags: number, message: Uint8Array): Buffer {
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const MANY = ENTRIES_MAX + 1;

const BOMBS: readonly (readonly [name: string, desc: DescMessage, bytes: Uint8Array])[] = [
  ["a list of messages", SurveyRequestSchema, repeated(8_000_000, 0x0a, 0)],
  ["a list of texts", EnsureSeedRequestSchema, repeated(MANY, 0x32, 0)],
  ["a map", ListNetworksRequestSchema, repeated(MANY, 0xba, 6, 0)],
  ["a list in a message", SurveyRequestSchema, delimited(1, delimited(1, repeated(MANY, 0x3a, 0)))],
  [
    "a list after a group",
    SurveyRequestSchema,
    Buffer.concat([Buffer.from([0x13, 0x14]), repeated(MANY, 0x0a, 0)]),
  ],
  [
    "a list under another wire type",
    SurveyRequestSchema,
    (() => {
      const bytes = delimited(1, delimited(1, repeated(MANY, 0x3a, 0)));
      bytes[0] = 1 << 3;
      return bytes;
    })(),
  ],
  ["JSON", VerifyRequestSchema, Buffer.from(` {"a":[${"{},".repeat(MANY)}{}]}`)],
];

describe("a message that would be made of too much", () => {
  test.each(BOMBS)("%s", (_, desc, bytes) => {
    expect(() => checkEntries(desc, bytes)).toThrow(
      expect.objectContaining({ code: Code.ResourceExhausted }),
    );
  });
});

describe("over the wire", () => {
  const bomb = repeated(MANY, 0x0a, 0);
  const none: Readonly<Record<string, string>> = {};
  test.each([
    ["plain", bomb, "application/proto", none],
    ["said to be as it is", bomb, "application/proto", { "content-encoding": "identity" }],
    ["compressed", gzipSync(bomb), "application/proto", { "content-encoding": "gzip" }],
    ["in an envelope", envelope(0, bomb), "application/grpc-web+proto", none],
    [
      "compressed in one",
      envelope(1, gzipSync(bomb)),
      "application/grpc-web+proto",
      { "grpc-encoding": "gzip" },
    ],
  ])("%s", async (_, body, contentType, headers) => {
    let calls = 0;
    const survey = () => {
      calls += 1;
      return {};
    };
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      log: silentLog,
      audience: "api",
      routes: (router) => router.service(SurveyAgentService, { survey }),
    });
    onTestFinished(() => server.stop(0));
    const response = await fetch(`${server.url}/${SurveyAgentService.typeName}/Survey`, {
      method: "POST",
      headers: { "content-type": contentType, ...headers },
      body: new Uint8Array(body),
    });
    const told = `${await response.text()} ${response.headers.get("grpc-message") ?? ""}`;
    expect(decodeURIComponent(told)).toContain(
      `the request holds more than ${ENTRIES_MAX} entries`,
    );
    expect(calls).toBe(0);
  });
});

test("what is large for what it says is none", () => {
  const seed = { sshAuthorizedKeys: ["k".repeat(100_000)], nics: [{ nameservers: ["192.0.2.1"] }] };
  const seeds = Array.from({ length: 16_384 }, () => ({
    seed: { ...seed, sshAuthorizedKeys: ["a"] },
  }));
  const survey = create(SurveyRequestSchema, { seeds });
  checkEntries(SurveyRequestSchema, toBinary(SurveyRequestSchema, survey));
  const one = create(EnsureSeedRequestSchema, seed);
  checkEntries(EnsureSeedRequestSchema, toBinary(EnsureSeedRequestSchema, one));
  checkEntries(EnsureSeedRequestSchema, Buffer.from(toJsonString(EnsureSeedRequestSchema, one)));
});

test.each([[[0x0a]], [[0x0a, 0xff, 0xff]], [[0xff, 0xff, 0xff]], [[0x0f]], [[]]])(
  "bytes that are no message, %j, are left to who decodes them",
  (bytes) => checkEntries(SurveyRequestSchema, Uint8Array.from(bytes)),
);
