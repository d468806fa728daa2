import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { fc } from "../../../test/properties.ts";
import { CreateTokenResponseSchema } from "../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { NodeSchema } from "../../gen/n0stack/pool/v0/node_pb.ts";
import {
  CreateVirtualMachineRequestSchema,
  VirtualMachineSchema,
} from "../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { type AnswerTypes, checkArgs, referencesIn } from "./check.ts";
import { fillArgs } from "./fill.ts";
import { escapeText, formatParts, type Part, parseText, type Step } from "./text.ts";
import { pathText } from "./walk.ts";

const CREATE = CreateVirtualMachineRequestSchema;
const types: AnswerTypes = new Map<string, DescMessage | undefined>([
  ["vm", VirtualMachineSchema],
  ["vm[a b]", VirtualMachineSchema],
  ["node", NodeSchema],
  ["token", CreateTokenResponseSchema],
  ["unknown-type", undefined],
]);
const vm = create(VirtualMachineSchema, {
  name: "web",
  limitMemoryBytes: 9007199254740993n,
  limitCpuMilliCore: 250,
  labels: { role: "front", "a.b": "$" + "{x.y}" },
  blockStorageNames: ["root", "data"],
  nics: [{ networkName: "lab", ipv4Address: "10.0.0.7" }],
  state: 2,
});
const json = toJson(VirtualMachineSchema, vm, { useProtoFieldName: true });
const answerOf = (task: string) => {
  if (task === "node") return { type: NodeSchema, json: { name: "n1" } };
  return task === "vm" || task === "vm[a b]" ? { type: VirtualMachineSchema, json } : undefined;
};
const check = (args: JsonValue) =>
  checkArgs(CREATE, args, types).map(({ path, message }) => `${pathText(path)}: ${message}`);
const fill = (args: JsonValue) => fillArgs(CREATE, args, answerOf);

const reference = (name: string, ...path: Step[]) => ({ name, isQuoted: false, path });
const field = (name: string): Step => ({ kind: "field", name });

test.each<[string, readonly Part[]]>([
  ["", []],
  ["plain $ {x} $x", ["plain $ {x} $x"]],
  ["${HOME} ${x%.*} ${x:-y} ${#x} ${!x} ${} ${", ["${HOME} ${x%.*} ${x:-y} ${#x} ${!x} ${} ${"]],
  ["$${vm.name} $$${x} $${", ["${vm.name} $${x} ${"]],
  ['$$${vm.name}${"$"}', ["$${vm.name}$"]],
  ['${"$"}${vm.name}', ["$", reference("vm", field("name"))]],
  ["a${vm.name}b", ["a", reference("vm", field("name")), "b"]],
  ["${${vm.name}}", ["${", reference("vm", field("name")), "}"]],
  ["${ vm.name }", [reference("vm", field("name"))]],
  [
    "${vm-1.a[0][12]}",
    [reference("vm-1", field("a"), { kind: "key", key: 0 }, { kind: "key", key: 12 })],
  ],
  ['${vm.a["k]\\"}"]}', [reference("vm", field("a"), { kind: "key", key: 'k]"}' })]],
  ['${"odd ${name}".a}', [{ name: "odd ${name}", isQuoted: true, path: [field("a")] }]],
  [
    "${d[each.key].name}",
    [reference("d", { kind: "by", reference: reference("each", field("key")) }, field("name"))],
  ],
  ["${d[*].name}", [reference("d", { kind: "all" }, field("name"))]],
  ["${each.index:03}", [{ ...reference("each", field("index")), width: 3 }]],
])("the text %j is read", (text, parts) => {
  expect(parseText(text)).toEqual(parts);
  expect(parseText(formatParts(parts))).toEqual(parts);
});

test.each([
  ["${vm.name", '"${vm.name" begins a reference, but it has no }; $${ is a literal ${'],
  ["x ${vm.}", /^"\$\{vm\.\.?" begins a reference, but a field follows the name/],
  ["${vm.a b}", /" " cannot stand there/],
  ["${vm[x]}", /brackets hold a number, a text in "quotes"/],
  ["${vm[0}", /brackets hold/],
  ['${vm["a"}', /"}" cannot stand there/],
  ["${vm[-1].a}", /brackets hold/],
  ["${vm[1234567890].a}", /brackets hold/],
  ['${"vm}', /cannot stand there|a field follows/],
  ['${"vm"}', /a field follows the name/],
  ['${"\\x".a}', /not a text in quotes as JSON has them/],
  ["${vm.a${vm.b}}", /"\$" cannot stand there/],
  ["${vm.a:3}", /":" cannot stand there/],
  [`\${vm${".a".repeat(33)}}`, /more than 32 steps/],
  ["${vm.a}".repeat(101), /more than 100 references/],
  [`\${"${"a".repeat(400)}".b}`, /too long/],
])("the text %j is refused", (text, message) => {
  const expected = typeof message === "string" ? message : expect.stringMatching(message);
  expect(() => parseText(text)).toThrow(
    expect.objectContaining({ kind: "invalid_argument", message: expected }),
  );
});

describe("types are checked", () => {
  test("what fits has no problem", () => {
    expect(
      check({
        name: "${vm.nics[0].network_name}-${vm.limit_cpu_milli_core}",
        annotations: { a: '${vm.labels["role"]}', b: "${vm.state}", c: "${vm.limit_memory_bytes}" },
        labels: "${vm.labels}",
        limit_cpu_milli_core: "${vm.limit_memory_bytes}",
        request_memory_bytes: "${vm.limit_cpu_milli_core}",
        limit_memory_bytes: "1073741824",
        block_storage_names: ['${"vm[a b]".block_storage_names[1]}', "b"],
        nics: ["${vm.nics[0]}", { network_name: "${unknown-type.any.thing}" }],
        ssh_authorized_keys: "${vm.ssh_authorized_keys}",
        login_username: "${USER} costs $${vm.x}",
        uuid: "${token.token.created_at}",
      }),
    ).toEqual([]);
  });
  test.each<[JsonObject, string | RegExp]>([
    [
      { name: "${vn.name}" },
      `name: \${vn.name}: Depended task 'vn' do not exist (did you mean "vm"?); $\${ is a literal \${`,
    ],
    [
      { name: "${vm.nam}" },
      `name: \${vm.nam}: VirtualMachine has no field "nam" (did you mean "name"?)`,
    ],
    [{ name: "${node.x}" }, /Node has no field "x"; there are name, /],
    [
      { name: "${vm.nics}" },
      "name: ${vm.nics} is a list of VirtualMachineNIC, and this field takes a text",
    ],
    [{ name: "a${vm.nics}" }, /cannot stand within a text/],
    [
      { name: "${vm.nics.name}" },
      /\.name follows a list: choose an element with a number, such as \[0\]/,
    ],
    [{ name: '${vm.nics["a"].name}' }, /\["a"\] follows a list/],
    [
      { name: "${vm.labels.role}" },
      /\.role follows a map: choose a value with its key, \["role"\]/,
    ],
    [{ name: "${vm.name[0]}" }, /\[0\] follows a text, which has no parts/],
    [{ name: "${token.token.created_at.seconds}" }, /follows a Timestamp/],
    [{ name: "${vm[0].name}" }, /\[0\] follows a VirtualMachine/],
    [{ name: "${vm[*].name}" }, /choose an instance of a task with for_each/],
    [{ name: "${vm[each.key].name}" }, /choose an instance of a task with for_each/],
    [{ name: "${vm.limit_cpu_milli_core:03}" }, /only each and param can have a width/],
    [
      { limit_cpu_milli_core: "${vm.name}" },
      "limit_cpu_milli_core: ${vm.name} is a text, and this field takes a whole number",
    ],
    [
      { limit_cpu_milli_core: "1${vm.limit_cpu_milli_core}" },
      /is a whole number within a text, and this field takes a whole number: write the reference alone/,
    ],
    [{ limit_cpu_milli_core: "abc" }, /^: /],
    [
      { nics: [{ network_name: "a" }, { ipv4_address: "${vm.nics[0]}" }] },
      "nics[1].ipv4_address: ${vm.nics[0]} is a VirtualMachineNIC, and this field takes a text",
    ],
    [
      { nics: "${vm.block_storage_names}" },
      /is a list of text, and this field takes a list of VirtualMachineNIC/,
    ],
    [{ labels: { "a b": "${vm.x" } }, /^labels\["a b"\]: .* has no }/],
    [{ nme: "x" }, /nme/],
    [
      { name: "${vm.name}", block_storage_names: Array(10).fill("${vm.name}".repeat(100)) },
      "block_storage_names[9]: one task has at most 1000 references",
    ],
  ])("%j is refused", (args, message) => {
    const expected = typeof message === "string" ? message : expect.stringMatching(message);
    expect(check(args)).toEqual([expected]);
  });
  test("args that are nested without end are refused", () => {
    let deep: JsonValue = "x";
    for (let i = 0; i < 100; i += 1) deep = [deep];
    expect(() => check({ labels: deep })).toThrow(/nested more than 64 deep/);
  });
});

describe("references are filled", () => {
  test("with the values of the answers, each as its field wants it", () => {
    const filled = fill({
      name: "${vm.nics[0].network_name}-${vm.limit_cpu_milli_core}-${vm.limit_memory_bytes}-${vm.state}",
      annotations: {
        own: '${vm.labels["a.b"]}',
        literal: "$${vm.name} ${HOME}",
        cpu: "${vm.limit_cpu_milli_core}",
      },
      labels: "${vm.labels}",
      limit_cpu_milli_core: "${vm.limit_cpu_milli_core}",
      limit_memory_bytes: "${vm.limit_memory_bytes}",
      request_memory_bytes: "${vm.request_memory_bytes}",
      block_storage_names: '${"vm[a b]".block_storage_names}',
      nics: ["${vm.nics[0]}"],
      login_username: "<${vm.uuid}>",
    });
    expect(fromJson(CREATE, filled)).toMatchObject({
      name: "lab-250-9007199254740993-RUNNING",
      annotations: { own: "$" + "{x.y}", literal: "${vm.name} ${HOME}", cpu: "250" },
      labels: { role: "front", "a.b": "$" + "{x.y}" },
      limitCpuMilliCore: 250,
      limitMemoryBytes: 9007199254740993n,
      requestMemoryBytes: 0n,
      blockStorageNames: ["root", "data"],
      nics: [{ networkName: "lab", ipv4Address: "10.0.0.7" }],
      loginUsername: "<>",
    });
  });
  test.each<[string, string]>([
    [
      "${vm.nics[1].ipv4_address}",
      "args.nics[0].ipv4_address: ${vm.nics[1].ipv4_address}: the list has 1 element, so it has no [1]",
    ],
    [
      '${vm.labels["rôle"]}',
      'args.nics[0].ipv4_address: ${vm.labels["rôle"]}: the map has no key "rôle"; it has role, a.b',
    ],
    [
      '${vm.labels["__proto__"]}',
      'args.nics[0].ipv4_address: ${vm.labels["__proto__"]}: the map has no key "__proto__"; it has role, a.b',
    ],
    [
      "${token.secret}",
      "args.nics[0].ipv4_address: ${token.secret}: task 'token' failed, so it has no answer",
    ],
  ])("not with %s, which the answer does not have", (text, message) => {
    const args = { nics: [{ ipv4_address: text }] };
    expect(() => fill(args)).toThrow(
      expect.objectContaining({ kind: "failed_precondition", message }),
    );
  });
  test("not without end", () => {
    const big = { type: VirtualMachineSchema, json: { name: "x".repeat(1 << 20) } };
    expect(() => fillArgs(CREATE, { name: "${a.name}".repeat(5) }, () => big)).toThrow(
      /args.name: the values of the references are longer than 4194304 characters/,
    );
  });
});

test("every reference is found with its place, also beside a mistake", () => {
  const args = {
    name: "${a.b}${c.d}",
    nics: [{ x: "$${no.no}" }, { x: '${"e f".g}' }],
    y: "${bad.",
    z: 7,
  };
  expect(referencesIn(args).map(({ reference: r, path }) => [r.name, pathText(path)])).toEqual([
    ["a", "name"],
    ["c", "name"],
    ["e f", "nics[1].x"],
  ]);
});

const anyText = fc
  .array(
    fc.constantFrom(
      "$",
      "{",
      "}",
      ".",
      "[",
      "]",
      '"',
      "a",
      "vm",
      "0",
      "\\",
      " ",
      ":",
      "ü",
      "${",
      "$${",
    ),
    { maxLength: 30 },
  )
  .map((words) => words.join(""));

test("every literal text comes back from its escaped form", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(parseText(escapeText(text)).join("")).toBe(text);
      expect(fill({ name: escapeText(text) })).toEqual({ name: text });
    }),
    { numRuns: 1000 },
  );
});

test("any text is read or refused, and reading keeps whatever is not a reference", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      let parts: readonly Part[];
      try {
        parts = parseText(text);
      } catch (reason) {
        expect((reason as Error).message).toContain("$${ is a literal ${");
        return;
      }
      expect(parseText(formatParts(parts))).toEqual(parts);
      if (!/\$\{/.test(text)) expect(parts.join("")).toBe(text);
    }),
    { numRuns: 1000 },
  );
});

/** A template beside the JSON that filling must give, which the generator builds at the same time. */
interface Pair {
  readonly template: JsonValue;
  readonly filled: JsonValue;
}

const VALUES: readonly (readonly [reference: string, value: JsonValue, text: string])[] = [
  ["${vm.name}", "web", "web"],
  ["${vm.limit_memory_bytes}", "9007199254740993", "9007199254740993"],
  ["${vm.limit_cpu_milli_core}", 250, "250"],
  ['${"vm[a b]".state}', "RUNNING", "RUNNING"],
  ["${vm.request_cpu_milli_core}", 0, "0"],
  ['${vm.labels["a.b"]}', "$" + "{x.y}", "$" + "{x.y}"],
];
const aText: fc.Arbitrary<Pair> = fc
  .array(
    fc.oneof(
      anyText.map((text) => [text, text] as const),
      fc
        .constantFrom(...VALUES)
        .map(([written, , text]) => [parseText(written)[0] ?? "", text] as const),
    ),
    { minLength: 2, maxLength: 6 },
  )
  .map((pieces) => ({
    template: `.${formatParts(pieces.map(([part]) => part))}`,
    filled: `.${pieces.map(([, text]) => text).join("")}`,
  }));
const aWhole: fc.Arbitrary<Pair> = fc
  .constantFrom(...VALUES)
  .map(([written, value]) => ({ template: written, filled: value }));
const { node: aValue } = fc.letrec<{ node: Pair }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small" },
    aText,
    aWhole,
    fc.array(tie("node"), { maxLength: 4 }).map((items) => ({
      template: items.map((i) => i.template),
      filled: items.map((i) => i.filled),
    })),
    fc.dictionary(anyText, tie("node"), { maxKeys: 4 }).map((pairs) => ({
      template: Object.fromEntries(Object.entries(pairs).map(([k, v]) => [k, v.template])),
      filled: Object.fromEntries(Object.entries(pairs).map(([k, v]) => [k, v.filled])),
    })),
  ),
}));

test("filling any nested template gives what its parts give", () => {
  fc.assert(
    fc.property(aValue, ({ template, filled }) => {
      // A field that the message does not have takes a value of any type.
      expect(fill({ "": template })).toEqual({ "": filled });
    }),
    { numRuns: 500 },
  );
});
