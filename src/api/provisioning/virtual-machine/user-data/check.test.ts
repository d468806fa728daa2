import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { kindOf } from "../../../../util/errors.ts";
import { checkUserData } from "./check.ts";

const SECRET = "hunter2";

function refusal(text: string): string {
  try {
    checkUserData(text);
  } catch (error) {
    expect(kindOf(error)).toBe("invalid_argument");
    const { message } = error as Error;
    expect(message).not.toContain(SECRET);
    return message;
  }
  throw new Error("it was taken");
}

const multipart = (headers: string, body: string) => `${headers}\n\n${body}`;
const MIXED = 'Content-Type: multipart/mixed; boundary="B"\nMIME-Version: 1.0';

test.each([
  "#cloud-config\npackages: [nginx]\n",
  "#cloud-config\r\nruncmd:\r\n  - echo é\r\n",
  "\ufeff#cloud-config\na: 1\na: 2\n",
  "#cloud-config\nwrite_files:\n  - path: /x\n    encoding: b64\n    content: !!binary aGk=\nusers: [default]\n",
  `#cloud-config\nruncmd:\n  - |\n${"    if [ x ]; then { echo [; }\n".repeat(200)}`,
  "#!/bin/sh\necho hi\n",
  "#!/usr/bin/env python3\n",
  "#include\nhttps://example.com/a\n",
  "#include https://example.com/a\n",
  "#include-once\nhttps://example.com/a\n",
  "#cloud-boothook\n#!/bin/sh\n",
  "#part-handler\ndef list_types():\n",
  "## template: jinja\n#cloud-config\nfqdn: {{ v1.region }}\n",
  multipart(MIXED, "--B\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--B--\n"),
  multipart(
    "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=B",
    "--B\n\n#!/bin/sh\n--B--",
  ),
])("takes %j", (text) => {
  const taken = checkUserData(text);
  expect(taken).toBe(text.replace("\ufeff", "").replaceAll("\r\n", "\n"));
  expect(checkUserData(taken)).toBe(taken);
});

test("nothing is nothing", () => {
  expect([checkUserData(""), checkUserData("\ufeff")]).toEqual(["", ""]);
});

test.each([
  [`${SECRET}: a`, /first line is unknown: it must begin with #cloud-config, #!, #include/],
  [`\n#cloud-config\n${SECRET}: 1`, /first line is unknown/],
  [`#cloud-configuration\n`, /first line is unknown/],
  [`#includes ${SECRET}`, /first line is unknown/],
  [`\u001f\ufffd${SECRET}`, /is compressed/],
  [`#!/bin/sh\n\0${SECRET}`, /zero byte/],
  ["#cloud-config\n", /must have a map of YAML after #cloud-config/],
  [`#cloud-config\n- ${SECRET}\n`, /must have a map of YAML/],
  [`#cloud-config\na: 1\n  ${SECRET}: 2\n`, /^user_data: line 2, column 4 is not YAML: [a-z ]+$/],
  [`#cloud-config\na: "${SECRET}\n`, /^user_data: line \d, column \d+ is not YAML/],
  [`#cloud-config\na: *${SECRET}\n---\nb: 1\n`, /is not YAML/],
  [`#cloud-config\nusers: ${SECRET}\n`, /users must be a list/],
  [`#cloud-config\nssh_authorized_keys: ${SECRET}\n`, /ssh_authorized_keys must be a list/],
  [`## template: jinja\n${SECRET}`, /line 2 must begin with #cloud-config/],
  [multipart("Content-Type: text/plain\nMIME-Version: 1.0", SECRET), /must begin with the header/],
  [multipart("Content-Type: multipart/mixed", SECRET), /must begin with the header/],
  [MIXED, /empty line after its headers/],
  [multipart('Content-Type: multipart/mixed; boundary="B"', `--B\n${SECRET}`), /MIME-Version/],
  [multipart(MIXED, `--C\n${SECRET}`), /has no parts/],
] as const)("refuses %j", (text, why) => {
  expect(refusal(text)).toMatch(why);
});

test("a text that is made to be slow or deep is refused, or read in a moment", () => {
  const fill = (piece: string) => piece.repeat(Math.floor(65_000 / piece.length));
  for (const piece of ["[", "{a: ", "- ", "? ", "a: ", "*a ", '"', "\n- ", "!<", "<<: *a\n"]) {
    const text = `#cloud-config\na: &a ${fill(piece)}`;
    const started = performance.now();
    try {
      checkUserData(text);
    } catch (error) {
      expect([piece, kindOf(error)]).toEqual([piece, "invalid_argument"]);
    }
    // Alone on its computer, it takes a tenth of this.
    expect([piece, performance.now() - started < 5_000]).toEqual([piece, true]);
  }
  const stairs = (step: string) => Array.from({ length: 361 }, (_, i) => `${" ".repeat(i)}${step}`);
  expect(refusal(`#cloud-config\n${stairs("a:").join("\n")}`)).toMatch(/too many levels/);
  const stair = stairs("a:").slice(0, 200).join("\n");
  expect(checkUserData(`#cloud-config\n${stair}`)).toContain("a:");
});
