import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { usedMs } from "../../test/used-time.ts";
import { run } from "../program.ts";
import { RESOURCES } from "../resource/all.ts";
import { loadResources } from "../resource/resource.ts";
import { openTestApi } from "../testing/test-api.ts";
import { newTestIo, type TestIoOptions } from "../testing/test-io.ts";
import { checkTasks } from "./check.ts";
import { formatProblems } from "./problems.ts";

const resources = await loadResources(RESOURCES);
const api = await openTestApi();
const folder = await mkdtemp(join(tmpdir(), "n0cli-expand-"));
beforeEach(() => api.reset());
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function check(text: string, ...set: string[]) {
  const { tasks, problems } = checkTasks([{ file: "-", text }], resources, { values: [], set });
  return { tasks, problems: formatProblems(problems, ["-"]) };
}

async function doText(text: string, words: string[] = [], more: TestIoOptions = {}) {
  const t = newTestIo({ transport: api.transport, stdin: [text], ...more });
  const exitCode = await run(["do", "-", ...words], t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

const GET = "type: network, action: GetNetwork";
const PAIRS = `
parameters:
  count: {type: int, default: 2, min: 1, max: 600, description: how many}
  size: {type: size, default: 1MiB}
disk:
  for_each: \${param.count}
  type: block_storage
  action: CreateBlockStorage
  args: {name: 'pair-\${each.index:03}', request_bytes: '\${param.size}', limit_bytes: '\${param.size}'}
copy:
  for_each: \${param.count}
  type: block_storage
  action: CopyBlockStorage
  args: {name: 'copy-\${each.key}', source_block_storage: '\${disk[each.key].name}', request_bytes: '\${param.size}', limit_bytes: '\${param.size}'}
all: {type: block_storage, action: ListBlockStorages, depends_on: [copy, 'disk[0]']}
outputs:
  first: '\${disk[0].name} of \${param.count}'
  names: '\${copy[*].name}'
  bytes: {of-one: '\${copy[1].limit_bytes}'}
`;

test("for_each, parameters and outputs run from one file", async () => {
  const { exitCode, stdout, stderr } = await doText(PAIRS, ["-o", "jsonl"]);
  expect(`${exitCode} ${stderr}`).toMatch(/^0 [^]*DAG tasks are completed\n$/);
  const lines = stdout.trim().split("\n");
  expect(lines).toHaveLength(6);
  expect(JSON.parse(lines.at(-1) ?? "")).toEqual({
    outputs: {
      first: "pair-000 of 2",
      names: ["copy-0", "copy-1"],
      bytes: { "of-one": "1048576" },
    },
  });
  expect(stderr.indexOf("'all' is started")).toBeGreaterThan(
    stderr.indexOf("'copy[1]' is finished"),
  );
});

test("the value of a parameter is from --set, else from the last --values, else its default", async () => {
  const [a, b] = [join(folder, "a.yaml"), join(folder, "b.yaml")];
  await writeFile(a, "x: a\ny: a\n");
  await writeFile(b, "y: b\nz: 0x10\n");
  const text = `
parameters: {w: {default: w}, x: , y: {}, z: {type: int}, list: {type: list}}
t: {${GET}, args: {name: lab}, ignore_error: yes}
outputs: {all: '\${param.w}\${param.x}\${param.y}\${param.z}', list: '\${param.list}'}
`;
  const words = [
    "--values",
    a,
    "--values",
    b,
    "--set",
    "x=s=1",
    "--set",
    "list=p, q",
    "-o",
    "yaml",
  ];
  const { stdout } = await doText(text, words);
  expect(stdout).toBe("---\noutputs:\n  all: ws=1b16\n  list:\n    - p\n    - q\n");
  const onTerminal = await doText(text, words.slice(0, -2), { isTerminal: true });
  expect(onTerminal.stdout).toMatch(/^NAME +VALUE\nall +ws=1b16\nlist +\["p","q"\]\n$/);
});

test("an object that a parameter names exists before anything runs; --check asks nobody", async () => {
  const text = `parameters: {net: {kind: network}}\nt: {type: node, action: ListNodes}\n`;
  const { exitCode, stderr } = await doText(text, ["--set", "net=gone"]);
  expect([exitCode, stderr]).toEqual([
    2,
    '--set net: parameter "net": network "gone" does not exist\n1 problem. Nothing was run.\n',
  ]);
  expect(api.calls.map(({ method }) => method)).toEqual(["GetNetwork"]);
  expect((await doText(text, ["--set", "net=gone", "--check"])).exitCode).toBe(0);
  expect(api.calls).toHaveLength(1);
});

test("instances are over a list, a map or a count, and depend on one or on all", () => {
  const text = `
parameters: {roles: {type: map, default: {web: {net: a}, db: {net: 'b\${x.y}'}}}}
"my list": {for_each: [p, q.r, 7], ${GET}, args: {name: '\${each.value}'}}
map: {for_each: '\${param.roles}', ${GET}, args: {name: '\${each.key}-\${each.value.net}'}}
maps: {for_each: [{n: a}], ${GET}, args: {name: '\${each.value.n}'}, depends_on: 'map[\${each.value.n}]'}
none: {for_each: 0, ${GET}}
x: {for_each: [web], ${GET}, args: {name: '\${map[each.key].name}\${"my list"[7].name}'}, depends_on: ['my list', none, 'maps[0]']}
`;
  const { tasks, problems } = check(text.replace("'map[${each.value.n}]'", "'map[web]'"));
  expect(problems).toEqual([]);
  expect([...tasks.values()].map(({ name, args, dependsOn }) => [name, args, dependsOn])).toEqual([
    ["my list[p]", { name: "p" }, []],
    ["my list[q.r]", { name: "q.r" }, []],
    ["my list[7]", { name: "7" }, []],
    ["map[web]", { name: "web-a" }, []],
    ["map[db]", { name: "db-b$${x.y}" }, []],
    ["maps[0]", { name: "a" }, ["map[web]"]],
    [
      "x[web]",
      { name: '${"map[web]".name}${"my list[7]".name}' },
      ["my list[p]", "my list[q.r]", "my list[7]", "maps[0]", "map[web]"],
    ],
  ]);
  expect(check(text).problems).toEqual([
    expect.stringContaining("Depended task 'map[a]' do not exist"),
  ]);
});

describe("what is wrong is found, with its place", () => {
  const T = `t: {${GET}, args: {name: a}}`;
  test.each<[string, string | RegExp]>([
    [
      `parameters: {a: {default: x, min: 1}}\n${T}`,
      /^-:1:35: min is for parameters of type int, number, size/,
    ],
    [
      `parameters: {a: {typ: int, default: 1}}\n${T}`,
      /1:18: parameter "a" has no key "typ" \(did you mean "type"\?\)/,
    ],
    [
      `parameters: {a: {type: in, default: 1}}\n${T}`,
      /1:24: type "in" is not known \(did you mean "int"\?\)/,
    ],
    [
      `parameters: {a: {description: the A}}\n${T}`,
      '-:1:14: parameter "a" (the A) has no value: give it with --set a=… or --values FILE',
    ],
    [
      `parameters: {a: {type: int, default: 5, max: 4}}\n${T}`,
      '-:1:38: parameter "a" must be at most 4',
    ],
    [
      `parameters: {a: {type: int, default: x}}\n${T}`,
      '-:1:38: parameter "a" must be a whole number',
    ],
    [`parameters: {a: {type: size, default: 1KiB, min: 1MiB}}\n${T}`, /must be at least 1048576/],
    [`parameters: {a: {default: abc, min_length: 4}}\n${T}`, /must have at least 4 characters/],
    [`parameters: {a: {default: abc, allowed: [b, c]}}\n${T}`, /must be one of b, c/],
    [`parameters: {a: {default: abc, pattern: 'a+'}}\n${T}`, /must match a\+/],
    [`parameters: {a: {default: abc, pattern: '('}}\n${T}`, /pattern must be a regular expression/],
    [
      `parameters: {a: {default: ${"a".repeat(40)}!, pattern: '(a+)+'}}\n${T}`,
      /takes too long to try/,
    ],
    [
      `parameters: {a: {default: x, kind: imag}}\n${T}`,
      /"imag" is not known \(did you mean "image"\?\)/,
    ],
    [`parameters: [a]\n${T}`, /1:13: parameters must be a map from names to parameters/],
    [
      `t: {${GET}, args: {name: '\${param.a}'}}`,
      /parameter "a" does not exist; there are no parameters/,
    ],
    [`t: {${GET}, args: {name: '\${each.key}'}}`, /only a task with for_each has each/],
    [
      `t: {for_each: 1, ${GET}, args: {name: '\${each.kee}'}}`,
      /there are each.key, each.value and each.index/,
    ],
    [
      `t: {for_each: [{a: 1}], ${GET}, args: {name: '\${each.value.b}'}}`,
      /has no such part; there are a$/,
    ],
    [`t: {for_each: [{a: 1}], ${GET}, args: {name: 'x\${each.value}'}}`, /cannot stand in a text/],
    [`t: {for_each: [a], ${GET}, args: {name: '\${each.key:03}'}}`, /:03 is for whole numbers/],
    [
      `t: {for_each: [a, b, a], ${GET}, args: {name: x}}`,
      '-:1:22: "a" occurs twice in for_each, and each instance has a key of its own',
    ],
    [
      `t: {for_each: x, ${GET}, args: {name: x}}`,
      /for_each of "t" must be a list, a map, or a count/,
    ],
    [
      `t: {for_each: '\${u.nodes}', ${GET}, args: {name: x}}\nu: {type: node, action: ListNodes}`,
      /cannot refer to results/,
    ],
    [
      `t: {for_each: 1000000000, ${GET}, args: {name: x}}`,
      /^-:1:15: the files have more than 10000 tasks/,
    ],
    [
      `t: {for_each: 10000, ${GET}, args: {name: x}}\nu: {type: node, action: ListNodes}`,
      /^-:2:1: the files have more than 10000 tasks/,
    ],
    [
      `t: {for_each: 5, ${GET}, args: {name: x}}\nu: {${GET}, args: {name: '\${t.name}'}}`,
      /t has for_each: choose an instance, such as t\[each.key\] or t\[0\]/,
    ],
    [
      `t: {for_each: 5, ${GET}, args: {name: x}}\nu: {${GET}, args: {name: '\${t[5].name}'}}`,
      /t has no instance "5"/,
    ],
    [
      `t: {for_each: 5, ${GET}, args: {name: x}}\nu: {${GET}, args: {name: '\${t[*].name}'}}`,
      /must be text, not a list/,
    ],
    [
      `t: {for_each: 2, ${GET}, args: {name: '\${t[each.key].name}'}}`,
      /'t\[0\]' -> 't\[0\]' depend on each other/,
    ],
    [
      `t: {for_each: 2, ${GET}, args: {name: x}, depends_on: u}\nu: {${GET}, args: {name: '\${t[1].name}'}}`,
      /not DAG: 'u' -> 't\[1\]' -> 'u'/,
    ],
    [
      `t: {for_each: [a], ${GET}, args: {name: x}}\n"t[a]": {${GET}, args: {name: x}}`,
      /an instance of "t" is called "t\[a\]", as another task is/,
    ],
    [
      `${T}\noutputs: {x: '\${t.nam}'}`,
      '-:2:14: outputs.x: ${t.nam}: Network has no field "nam" (did you mean "name"?)',
    ],
    [`${T}\noutputs: {x: '\${u.name}'}`, /Depended task 'u' do not exist/],
    [
      `${T}\n---\noutputs: {x: 1}\n---\noutputs: {x: 1}`,
      '-:5:11: output "x" exists already, at -:3:11',
    ],
  ])("%j", (text, message) => {
    const { problems } = check(text);
    const expected = typeof message === "string" ? message : expect.stringMatching(message);
    expect(problems).toEqual([expected]);
  });
  test("a mistake in all instances is said once", () => {
    expect(check(`t: {for_each: 500, ${GET}, args: {nam: '\${each.key}'}}`).problems).toHaveLength(
      1,
    );
  });
  test("a wrong word of --set", () => {
    const text = `parameters: {count: {type: int, default: 1}}\n${T}`;
    expect(check(text, "coun=1", "count", "count=x").problems).toEqual([
      '--set coun: parameter "coun" does not exist (did you mean "count"?)',
      "--set count: write --set name=value",
      '--set count: parameter "count" must be a whole number',
    ]);
  });
});

test("a secret is in no message, no name of a task and no output", () => {
  const text = `
parameters: {s: {secret: yes, pattern: 'h.*'}}
t: {type: virtual_machine, action: CreateVirtualMachine, args: {name: a, limit_cpu_milli_core: '\${param.s}', nics: '\${param.s}'}}
u: {for_each: ['\${param.s}'], ${GET}}
outputs: {o: 'x\${param.s}'}
`;
  const { problems } = check(text, "s=hunter2");
  expect(problems).toHaveLength(4);
  expect(problems.join("\n")).not.toContain("hunter2");
  expect(check(text, "s=xhunter2").problems.join("\n")).not.toContain("hunter2");
});

test("tasks called parameters and outputs stay tasks", () => {
  const { tasks, problems } = check(
    `parameters: {${GET}, args: {name: a}}\noutputs: {${GET}, args: {name: a}, depends_on: parameters}`,
  );
  expect([problems, [...tasks.keys()]]).toEqual([[], ["parameters", "outputs"]]);
});

test("600 virtual machines with disks are ten lines, which are checked in a moment", () => {
  const text = `
parameters: {count: {type: int, default: 600}}
disk:
  for_each: \${param.count}
  type: block_storage
  action: CreateBlockStorage
  args: {name: 'vm-\${each.index:03}', request_bytes: 1GiB, limit_bytes: 1GiB}
vm:
  for_each: \${param.count}
  type: virtual_machine
  action: CreateVirtualMachine
  args: {name: 'vm-\${each.index:03}', limit_cpu_milli_core: 1000, block_storage_names: ['\${disk[each.key].name}']}
  depends_on: disk
`;
  const startMs = usedMs();
  const { tasks, problems } = check(text);
  const tookMs = usedMs() - startMs;
  expect([problems, tasks.size, tasks.get("vm[599]")?.args]).toEqual([
    [],
    1200,
    { name: "vm-599", limit_cpu_milli_core: "1000", block_storage_names: ['${"disk[599]".name}'] },
  ]);
  expect(tookMs).toBeLessThan(3000);
});
