import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { usedMs } from "../../test/used-time.ts";
import { RESOURCES } from "../resource/all.ts";
import { loadResources } from "../resource/resource.ts";
import { requestOf as requestOfTask } from "./answers.ts";
import { checkTasks as checkTasksOf, type Task, type TaskText } from "./check.ts";
import type { Problem } from "./problems.ts";
import { formatProblems } from "./problems.ts";
import { readTrees } from "./yaml-tree.ts";

const resources = await loadResources(RESOURCES);
const types = RESOURCES.map(({ name }) => name);
const checkTasks = (texts: readonly TaskText[]) => checkTasksOf(texts, resources);

const NODE = "a: {type: node, action: ListNodes}\n";

function problemsOf(...texts: string[]): string[] {
  const files = texts.map((text, i) => ({ file: `${"abc"[i]}.yaml`, text }));
  const { problems } = checkTasks(files);
  return formatProblems(
    problems,
    files.map((f) => f.file),
  );
}

function builtFrom(tasks: ReadonlyMap<string, Task>, name: string): unknown {
  const task = tasks.get(name);
  return task === undefined ? undefined : requestOfTask(task, () => undefined);
}

function requestOf(
  args: string,
  type = "virtual_machine",
  action = "CreateVirtualMachine",
): unknown {
  const text = `t:\n  type: ${type}\n  action: ${action}\n  args:\n${args}`;
  const { tasks, problems } = checkTasks([{ file: "a.yaml", text }]);
  expect(problems).toEqual([]);
  return builtFrom(tasks, "t");
}

test("a task becomes the request of its RPC, with fields by proto name", () => {
  expect(
    requestOf(`
    name: vm
    request_memory_bytes: 512MiB
    limit_memory_bytes: 536870912
    limit_cpu_milli_core: 1000
    block_storage_names: [root, data]
    annotations: {a: "100", b: 18.10, c: 0x10, d: yes, 1804: e}
    nics:
      - network_name: net
        ipv4_address: 10.0.0.1`),
  ).toMatchObject({
    name: "vm",
    requestMemoryBytes: 536870912n,
    limitMemoryBytes: 536870912n,
    limitCpuMilliCore: 1000,
    blockStorageNames: ["root", "data"],
    annotations: { a: "100", b: "18.10", c: "0x10", d: "yes", 1804: "e" },
    nics: [{ networkName: "net", ipv4Address: "10.0.0.1" }],
  });
});

test("a tag keeps the text that it is written with", () => {
  const args = "    {image_name: i, block_storage_name: b, tags: [18.04, '1804', latest, 1_0]}";
  expect(requestOf(args, "Image", "RegisterBlockStorage")).toMatchObject({
    tags: ["18.04", "1804", "latest", "1_0"],
  });
});

test("a big number keeps every digit", () => {
  const args =
    "    {name: b, request_bytes: 9007199254740993, limit_bytes: '18446744073709551615'}";
  expect(requestOf(args, "BlockStorage", "CreateBlockStorage")).toMatchObject({
    requestBytes: 9007199254740993n,
    limitBytes: 18446744073709551615n,
  });
});

test("a field mask is a list of proto names", () => {
  const args = "    {name: b, limit_bytes: 1GiB, update_mask: [limit_bytes, labels]}";
  expect(requestOf(args, "block_storage", "UpdateBlockStorage")).toMatchObject({
    updateMask: { paths: ["limit_bytes", "labels"] },
  });
});

test("merge keys and aliases work, and what a map has itself wins", () => {
  const text = `
a: &a
  type: network
  action: ApplyNetwork
  args: &args {name: a, ipv4_cidr: 10.0.0.0/24}
b:
  <<: *a
  args: {<<: *args, name: b}
`;
  const { tasks, problems } = checkTasks([{ file: "a.yaml", text }]);
  expect(problems).toEqual([]);
  expect(builtFrom(tasks, "b")).toMatchObject({ name: "b", ipv4Cidr: "10.0.0.0/24" });
});

test("every mistake of a file is said, with its place", () => {
  const text = `one:
  type: disk
  action: GetNode
two:
  type: node
  action: GetNodes
  depend_on: [one]
three:
  type: virtual_machine
  action: CreateVirtualMachine
  depends_on: [won, two]
  args:
    nam: x
    limit_cpu_milli_core: many
    request_memory_bytes: 10G
    block_storage_names: root
    labels: [a]
    annotations: {a: [1]}
    nics: [{network_name: [n], ipv4: x}]
    ssh_authorized_keys: [~]
four: 4
five:
  type: node
  ignore_error: maybe
`;
  expect(problemsOf(text)).toEqual([
    `a.yaml:2:9: Resource type 'disk' do not exist; there are ${types.join(", ")}`,
    expect.stringMatching(
      /^a.yaml:6:11: Resource type 'node' do not have action 'GetNodes' \(did you mean "GetNode"\?\)$/,
    ),
    expect.stringMatching(
      /^a.yaml:7:3: task "two" has no key "depend_on" \(did you mean "depends_on"\?\)/,
    ),
    `a.yaml:11:16: Depended task 'won' do not exist`,
    `a.yaml:13:5: args: CreateVirtualMachineRequest has no field "nam" (did you mean "name"?)`,
    'a.yaml:14:27: args.limit_cpu_milli_core: must be a whole number, not "many"',
    expect.stringMatching(
      /^a.yaml:15:27: args.request_memory_bytes: "10G" is not a size: .*GiB or GB/,
    ),
    'a.yaml:16:26: args.block_storage_names: must be a list, not "root"',
    "a.yaml:17:13: args.labels: must be a map, not a list",
    "a.yaml:18:22: args.annotations.a: must be text, not a list",
    "a.yaml:19:27: args.nics[0].network_name: must be text, not a list",
    expect.stringMatching(/^a.yaml:19:32: args.nics\[0\]: VirtualMachineNIC has no field "ipv4"/),
    "a.yaml:20:27: args.ssh_authorized_keys[0]: must be text, not nothing",
    expect.stringMatching(/^a.yaml:21:1: task "four" must be a map/),
    'a.yaml:22:1: task "five" has no action',
    "a.yaml:24:17: ignore_error must be true or false",
  ]);
});

test.each([
  ["an empty file", "", /a.yaml:1:1: the file has no tasks/],
  ["only comments", "# nothing\n", /a.yaml:1:1: the file has no tasks/],
  ["an empty map", "{}", /a.yaml:1:1: the file has no tasks/],
  ["null", "null", /a.yaml:1:1: the file has no tasks/],
  ["a list", "- a\n", /a.yaml:1:1: must be a map from task names/],
  ["text", "hello", /a.yaml:1:1: must be a map from task names/],
  ["a task that is null", "a:\n", /a.yaml:1:1: task "a" must be a map/],
  ["broken YAML", "a: [1, 2\nb: 3", /a.yaml:\d+:\d+: /],
  ["documents without tasks", "---\n---\n# none\n---\nnull\n", /a.yaml:1:1: the file has no tasks/],
  ["what is shared alone", "x-a: &a {b: c}", /a.yaml:1:1: the file has no tasks/],
  ["a document that is a list", `${NODE}---\n- a\n`, /a.yaml:3:1: must be a map from task names/],
  ["broken YAML in the second document", `${NODE}---\nb: [1`, /a.yaml:3:\d+: /],
  [
    "a mistake in the second document",
    `${NODE}---\n\nb: {type: nod, action: A}`,
    /a.yaml:4:11: .*'nod' do not/,
  ],
  ["an anchor of another document", `x-a: &a {}\n${NODE}---\nb: *a`, /a.yaml:4:4: no anch/],
  ["a tag", "a: {type: !mine node}", /a.yaml:1:11: the tag !mine is not supported: remove it/],
  ["a tag of a map", "a: !mine {type: node}", /a.yaml:1:4: the tag !mine is not supported/],
  [
    "a tag in what is shared",
    "x-a: !!thing {b}\n",
    /a.yaml:1:6: the tag tag:yaml.org,2002:thing is/,
  ],
  ["a tag after documents", `${NODE}---\nb:\n  type: !env T`, /a.yaml:4:9: the tag !env is not/],
  ["an unknown anchor", "a: *b", /a.yaml:1:4: no anchor &b/],
  ["a key that is a map", "{a: 1}: {type: node}", /a.yaml:1:1: a key must be plain text/],
  ["an RPC that streams", "a: {type: node, action: WatchNodes}", /answers with a stream/],
])("%s is refused", (_, text, message) => {
  expect(problemsOf(text).join("\n")).toMatch(message);
});

const node = (name: string, dependsOn: string) =>
  `${name}: {type: node, action: ListNodes, depends_on: ${dependsOn}}\n`;

test("a cycle is named, and where it is", () => {
  expect(
    problemsOf(node("a", "[]") + node("b", "[a, d]") + node("c", "b") + node("d", "c")),
  ).toEqual([
    "a.yaml:2:52: This request is not DAG: 'b' -> 'd' -> 'c' -> 'b' depend on each other",
  ]);
  expect(problemsOf(node("a", "[a]"))).toEqual([
    "a.yaml:1:49: This request is not DAG: 'a' -> 'a' depend on each other",
  ]);
});

test("a task that is there twice is refused, in one file and in two", () => {
  expect(problemsOf(node("a", "[]") + node("a", "[]"))).toEqual(['a.yaml:2:1: "a" occurs twice']);
  expect(problemsOf(node("b", "[]"), node("a", "[]") + node("b", "[]"))).toEqual([
    'b.yaml:2:1: task "b" exists already, at a.yaml:1:1',
  ]);
});

test("a task that is there twice is refused, in two documents of one file", () => {
  expect(problemsOf(`${NODE}---\n${NODE}`)).toEqual([
    `a.yaml:3:1: task "a" exists already, at a.yaml:1:1`,
  ]);
});

test("the documents of one file are one graph", () => {
  const first = "a: {type: node, action: ListNodes, depends_on: [b]}";
  const second = "b: {type: !!str node, action: ListNodes}";
  const { tasks, problems } = checkTasks([
    { file: "a.yaml", text: `%YAML 1.2\n---\n${first}\n...\n---\n# nothing\n---\n${second}\n` },
  ]);
  expect(problems).toEqual([]);
  expect([...tasks.keys()]).toEqual(["a", "b"]);
  expect(tasks.get("a")?.dependsOn).toEqual(["b"]);
});

test("what stands under x- is no task, and its anchors hold in the whole document", () => {
  const text = `
x-sizes:
  - &small {request_bytes: 1GiB, limit_bytes: 1GiB}
x-disk: &disk {type: block_storage, action: CreateBlockStorage}
a: {<<: *disk, args: {name: a, <<: *small}}
`;
  const { tasks, problems } = checkTasks([{ file: "a.yaml", text }]);
  expect(problems).toEqual([]);
  expect([...tasks.keys()]).toEqual(["a"]);
  expect(builtFrom(tasks, "a")).toMatchObject({ name: "a", limitBytes: 1n << 30n });
});

test("who depends on what stands under x- is told that it is no task", () => {
  const text = `x-a: {type: node, action: ListNodes}\nb: {type: node, action: ListNodes, depends_on: x-a}`;
  expect(problemsOf(text)).toEqual([
    "a.yaml:2:48: Depended task 'x-a' do not exist: a key that begins with x- is not a task",
  ]);
});

test("too many documents are refused before they are parsed", () => {
  expect(problemsOf("---\n".repeat(100_000))).toEqual([
    "a.yaml:1:1: the file has more than 1000 documents",
  ]);
});

test("tasks of one file may depend on those of another", () => {
  expect(problemsOf(node("b", "[a]"), node("a", "[]"))).toEqual([]);
});

test("a bomb of aliases is refused before it goes off", () => {
  const levels = Array.from(
    { length: 30 },
    (_, i) => `x${i + 1}: &x${i + 1} [${Array(10).fill(`*x${i}`).join(", ")}]`,
  );
  expect(problemsOf(`x0: &x0 [a]\n${levels.join("\n")}\n`)[0]).toMatch(
    /aliases expand to more than/,
  );
});

test("an alias to what it stands in is refused", () => {
  expect(problemsOf("a: &a {type: node, action: ListNodes, args: *a}")[0]).toMatch(
    /refers to what contains it/,
  );
});

test("ten megabytes of aliases are refused at once", () => {
  const text = `a: &a 1\nb: [${"*a,".repeat(3_500_000)}]`;
  const startMs = usedMs();
  expect(problemsOf(text)).toEqual([
    expect.stringMatching(/a.yaml:1:1: the file has 10500013 bytes/),
  ]);
  expect(usedMs() - startMs).toBeLessThan(2000);
});

test.each([
  ["brackets", "[".repeat(100_000)],
  ["braces", "{a: ".repeat(100_000)],
  ["dashes", "- ".repeat(100_000)],
  ["dashes between new lines", "- -\n".repeat(3) + "- ".repeat(5000)],
])("a hundred thousand %s are refused", (_, text) => {
  expect(problemsOf(text)).toEqual(["a.yaml:1:1: the file is nested too deeply"]);
});

test("too many aliases are refused before they are parsed", () => {
  const text = `a: &a 1\nb: [${"*a,".repeat(20_000)}]`;
  expect(problemsOf(text)).toEqual(["a.yaml:1:1: the file has more than 10000 aliases"]);
});

test("a text that keeps the parser busy for long is given up", () => {
  const problems: Problem[] = [];
  const startMs = usedMs();
  expect(readTrees("a.yaml", '"'.repeat(200_000), problems, 100)).toEqual([]);
  expect(usedMs() - startMs).toBeLessThan(2000);
  expect(formatProblems(problems, ["a.yaml"])).toEqual([
    "a.yaml:1:1: the file takes more than 0.1 s to read: is it YAML? If it is, split it",
  ]);
});

test("any text is read without a crash, and refused with a place or understood", () => {
  const word = fc.constantFrom(
    ..."a:- \n[]{}&*!|>'\"#%@,?~<".split(""),
    "type",
    "node",
    "<<",
    "&a",
    "*a",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), (words) => {
      const { tasks, problems } = checkTasks([{ file: "f", text: words.join("") }]);
      if (tasks.size === 0) expect(problems.length).toBeGreaterThan(0);
      for (const p of problems) {
        expect(p.line >= 1 && p.column >= 1 && p.message.length > 0).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});
