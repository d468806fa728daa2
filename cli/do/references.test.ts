import { afterAll, beforeEach, expect, test } from "vitest";
import { run } from "../program.ts";
import { RESOURCES } from "../resource/all.ts";
import { loadResources } from "../resource/resource.ts";
import { openTestApi } from "../testing/test-api.ts";
import { newTestIo } from "../testing/test-io.ts";
import { checkTasks } from "./check.ts";
import { formatProblems } from "./problems.ts";

const resources = await loadResources(RESOURCES);
const api = await openTestApi();
beforeEach(() => api.reset());
afterAll(() => api[Symbol.asyncDispose]());

function check(text: string) {
  const { tasks, problems } = checkTasks([{ file: "-", text }], resources);
  return { tasks, problems: formatProblems(problems, ["-"]) };
}

async function doText(text: string, ...words: string[]) {
  const t = newTestIo({ transport: api.transport, stdin: [text] });
  const exitCode = await run(["do", "-", ...words], t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

const DISK =
  "disk: {type: block_storage, action: CreateBlockStorage, args: {name: '${net.name}-1', request_bytes: 1MiB, limit_bytes: 1MiB, annotations: {nets: '$${net} of ${HOME}'}}}\n";
const NET =
  "net: {type: network, action: ApplyNetwork, args: {name: lab, ipv4_cidr: 10.1.0.0/24}}\n";

test("a task gets values of the answers of others, and runs after them without depends_on", async () => {
  const copy = `
copy:
  type: block_storage
  action: CopyBlockStorage
  args:
    name: copy-of-\${disk.name}
    source_block_storage: \${disk.name}
    request_bytes: \${disk.request_bytes}
    limit_bytes: \${ disk.limit_bytes }
    annotations: \${disk.annotations}
`;
  const { exitCode, stdout, stderr } = await doText(copy + DISK + NET, "-o", "jsonl");
  expect([exitCode, stderr.split("\n").filter((line) => line.includes("started"))]).toEqual([
    0,
    ["net", "disk", "copy"].map((name) => `---> Task '${name}' is started`),
  ]);
  const annotations = { nets: "${net} of ${HOME}" };
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
  ).toMatchObject([
    { task: "net", response: { name: "lab" } },
    { task: "disk", response: { name: "lab-1", annotations } },
    {
      task: "copy",
      response: {
        name: "copy-of-lab-1",
        request_bytes: "1048576",
        limit_bytes: "1048576",
        annotations,
      },
    },
  ]);
});

test("a task fails that refers to one whose failure is ignored, before it sends anything", async () => {
  const bad = "net: {type: network, action: GetNetwork, args: {name: gone}, ignore_error: true}\n";
  const { exitCode, stderr } = await doText(bad + DISK);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(
    "Task 'disk' is failed: [FailedPrecondition] args.name: ${net.name}: task 'net' failed, so it has no answer\n",
  );
  expect(api.calls.map(({ method }) => method)).toEqual(["GetNetwork"]);
});

test("a task fails that refers to what an answer does not have, or to a number that is too large", async () => {
  const list = "list: {type: network, action: ListNetworks}\n";
  const get =
    "get: {type: network, action: GetNetwork, args: {name: '${list.networks[7].name}'}, ignore_error: true}\n";
  const disk =
    "a: {type: block_storage, action: CreateBlockStorage, args: {name: big, request_bytes: 1MiB, limit_bytes: 5GiB}}\n";
  const vm =
    "b: {type: virtual_machine, action: CreateVirtualMachine, args: {name: x, limit_cpu_milli_core: '${a.limit_bytes}'}, ignore_error: true}\n";
  const { exitCode, stderr } = await doText(list + get + disk + vm);
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(
    /'get' is failed, ignore error: \[FailedPrecondition\] args.name: .*: the list has \d elements?, so it has no \[7\]/,
  );
  expect(stderr).toMatch(
    /'b' is failed, ignore error: \[InvalidArgument\] args: .*limit_cpu_milli_core.*5368709120/,
  );
  expect(api.calls.map(({ method }) => method)).not.toContain("CreateVirtualMachine");
});

test("references to nothing, of a wrong type, or in a circle are found before anything runs", () => {
  const text = `a:
  type: virtual_machine
  action: CreateVirtualMachine
  args:
    name: \${b.nam}
    limit_cpu_milli_core: \${b.name}
    nics:
      - network_name: \${c.name}
        ipv4_address: \${b.name[0]}
    block_storage_names: [x, "\${b.name"]
    labels: \${b.request_bytes}
    request_memory_bytes: \${b.request_bytes}0
b: {type: block_storage, action: GetBlockStorage, args: {name: "\${a.uuid}"}}
d: {type: nonsense, action: GetBlockStorage}
e: {type: node, action: GetNode, args: {name: "\${d.whatever}"}}
f: {type: node, action: GetNode, args: {name: "\${f.name}"}}
g: {type: block_storage, action: UpdateBlockStorage, args: {name: a, update_mask: "\${b.name}"}}
`;
  expect(check(text).problems).toEqual([
    "-:5:11: This request is not DAG: 'a' -> 'b' -> 'a' depend on each other",
    '-:5:11: args.name: ${b.nam}: BlockStorage has no field "nam" (did you mean "name"?)',
    "-:6:27: args.limit_cpu_milli_core: ${b.name} is a text, and this field takes a whole number",
    "-:8:23: args.nics[0].network_name: ${c.name}: Depended task 'c' do not exist (did you mean \"a\"?); $${ is a literal ${",
    "-:9:23: args.nics[0].ipv4_address: ${b.name[0]}: [0] follows a text, which has no parts that n0stack knows",
    '-:10:30: args.block_storage_names[1]: "${b.name" begins a reference, but it has no }; $${ is a literal ${',
    "-:11:13: args.labels: ${b.request_bytes} is a whole number, and this field takes a map of text",
    "-:12:27: args.request_memory_bytes: ${b.request_bytes} is a whole number within a text, and this field takes a whole number: write the reference alone",
    expect.stringMatching(/^-:14:11: Resource type 'nonsense' do not exist/),
    "-:17:83: args.update_mask: ${b.name} is a text, and this field takes a FieldMask",
  ]);
});

test("a cycle of one reference is found", () => {
  expect(check('f: {type: node, action: GetNode, args: {name: "${f.name}"}}').problems).toEqual([
    "-:1:47: This request is not DAG: 'f' -> 'f' depend on each other",
  ]);
});

test("a name with odd characters is written in quotes, and a task may be called param or each", () => {
  const text = `
"my net": {type: network, action: GetNetwork, args: {name: lab}}
param: {type: network, action: GetNetwork, args: {name: '\${"my net".name}'}}
x: {type: network, action: GetNetwork, args: {name: '\${"param".name}'}}
`;
  const { tasks, problems } = check(text);
  expect(problems).toEqual([]);
  expect([...tasks.values()].map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
    ["my net", []],
    ["param", ["my net"]],
    ["x", ["param"]],
  ]);
});
