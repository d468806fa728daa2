import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { doSchema, FILE } from "../../scripts/do-schema/main.ts";
import { run } from "../program.ts";
import { RESOURCES } from "../resource/all.ts";
import { loadResources } from "../resource/resource.ts";
import { newTestIo } from "../testing/test-io.ts";
import { checkTasks } from "./check.ts";

const FOLDER = join(import.meta.dirname, "../../examples");
const schema = JSON.parse(readFileSync(join(FOLDER, "do.schema.json"), "utf8")) as object;
const fits = new Ajv({ allErrors: true, strict: false }).compile(schema);

function problemsOf(text: string): string[] {
  return parseAllDocuments(text, { merge: true }).flatMap((document) =>
    fits(document.toJS()) ? [] : (fits.errors ?? []).map((e) => `${e.instancePath} ${e.message}`),
  );
}

test("the schema is what npm run gen writes", () => {
  expect(readFileSync(FILE, "utf8")).toBe(doSchema());
});

test("n0cli do --schema prints the schema of the examples", async () => {
  const t = newTestIo({});
  expect(await run(["do", "--schema"], t.io)).toBe(0);
  expect(t.stdout()).toBe(readFileSync(join(FOLDER, "do.schema.json"), "utf8"));
});

const EXAMPLES = readdirSync(FOLDER, { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".yaml"),
);

test.each(EXAMPLES)("%s names the schema in its first line, and fits it", (file) => {
  const text = readFileSync(join(FOLDER, file), "utf8");
  const way = file.includes("/") ? "../do.schema.json" : "do.schema.json";
  expect(text.split("\n")[0]).toBe(`# yaml-language-server: $schema=${way}`);
  expect(problemsOf(text)).toEqual([]);
});

const RIGHT = [
  "a: { type: Network, action: ApplyNetwork, args: { name: a, ipv4_cidr: 10.0.0.0/24, domain: } }",
  "a: { type: network, action: ApplyNetwork, args: { name: a, nat_off: yes, mtu: 0x5dc } }",
  "a: { type: block_storage, action: CreateBlockStorage, args: { name: 7, limit_bytes: 10GiB, request_bytes: 512 } }",
  "a: { type: image, action: ApplyImage, args: { name: a, labels: { on: true } }, depends_on: a1 }\na1: { type: image, action: GetImage, args: { name: a } }",
  "x-shared: [1]\na: { type: virtual_machine, action: GetVirtualMachine, args: { name: a }, ignore_error: on }",
  "parameters: { type: Network, action: GetNetwork, args: { name: a } }",
  "parameters: { n: { type: int, default: 3, max: 600 }, s: { default: a.example } }\noutputs: { all: '${a[*].name}' }\na: { type: network, for_each: '${param.n}', action: ApplyNetwork, args: { name: 'n-${each.index:03}', mtu: '${param.n}', domain: '${param.s}' } }",
  "a: { type: network, action: ApplyNetwork, args: { name: a } }\nb: { type: network, action: ApplyNetwork, args: { name: b, mtu: '${a.mtu}', labels: { of: '${a.name}' }, nameservers: ['${a.ipv4_cidr}'] } }",
];
const WRONG = [
  "parameters: { n: { type: integer } }\na: { type: network, action: GetNetwork, args: { name: a } }",
  "parameters: { n: { defalt: 3 } }\na: { type: network, action: GetNetwork, args: { name: a } }",
  "a: { type: network, action: ApplyNetwork, args: { name: a, mtu: '${HOME}' } }",
  "a: { type: network }",
  "a: { type: netwrk, action: ApplyNetwork, args: { name: a } }",
  "a: { type: network, action: CreateNetwork, args: { name: a } }",
  "a: { type: network, action: ApplyNetwork, args: { nme: a } }",
  "a: { type: network, action: ApplyNetwork, args: [a] }",
  "a: { type: network, action: ApplyNetwork, args: { name: a, mtu: big } }",
  "a: { type: network, action: ApplyNetwork, args: { name: a, nat_off: perhaps } }",
  "a: { type: network, action: ApplyNetwork, args: { name: a, reserved_ranges: 10.0.0.1 } }",
  "a: { type: network, action: ApplyNetwork, args: { name: a }, after: b }",
  "a: { type: virtual_machine, action: CreateVirtualMachine, args: { nics: [{ network: a }] } }",
  "a: 7",
];

describe("the schema and n0cli agree", () => {
  const check = async (text: string) => {
    const { problems } = checkTasks([{ file: "-", text }], await loadResources(RESOURCES));
    return problems;
  };
  test.each(RIGHT)("%s is right", async (text) => {
    expect(await check(text)).toEqual([]);
    expect(problemsOf(text)).toEqual([]);
  });
  test.each(WRONG)("%s is wrong", async (text) => {
    expect(await check(text)).not.toEqual([]);
    expect(problemsOf(text)).not.toEqual([]);
  });
});
