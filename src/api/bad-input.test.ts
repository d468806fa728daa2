import { type DescMethod, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EXAMPLES_OF_RESOURCES } from "../../test/cases.ts";
import { collect } from "../../test/collect.ts";
import { type NameField, nameFieldsOf, stringRulesOf } from "../../test/name-fields.ts";
import { refused } from "../../test/refused.ts";
import { newWorld, type World } from "../../test/world.ts";
import { NetworkTraceService } from "../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { VerifyService } from "../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { namePattern } from "../rpc/name-rules.ts";
import { SHARED_NAME } from "../util/ref.ts";
import { resources } from "./resources.ts";

const BAD_NAMES = [
  "",
  "a/b",
  "a/b/c",
  "a.b/c",
  "..",
  "../../etc/passwd",
  "-a",
  'a"b',
  "a'b",
  "a b",
  "a\nb",
  "ä",
  "a,b",
  "%2e",
  "a".repeat(64),
  "a".repeat(200),
];

const SERVICES = [...resources.map(({ service }) => service), VerifyService, NetworkTraceService];
const methods = SERVICES.flatMap((service) =>
  service.methods.filter(
    ({ methodKind }) => methodKind === "unary" || methodKind === "server_streaming",
  ),
);
const fields = methods.flatMap((method) =>
  nameFieldsOf(method.input).map((field) => ({ method, field, path: field.path })),
);

/** Sends the example of the method, in which this name alone is wrong. */
async function send(world: World, method: DescMethod, { put }: NameField, name: string) {
  const { input, parent, localName, methodKind } = method;
  const example = (EXAMPLES_OF_RESOURCES[method.name] ?? {}) as JsonObject;
  const client = world.client(parent) as Record<string, (request: object) => unknown>;
  const answer = client[localName]!(fromJson(input, put(example, name)));
  if (methodKind === "unary") return await answer;
  return await collect(answer as AsyncIterable<unknown>);
}

test("the fields that take a name are seen", () => {
  const seen = fields.map(({ method, path }) => `${method.name} ${path}`);
  expect(seen).toContain("CreateVirtualMachine nics[0].network_name");
  expect(seen).toContain("CreateVirtualMachine block_storage_names[0]");
  expect(seen.length).toBeGreaterThan(70);
});

test("a field that is called a name has the rule of one", () => {
  const called = methods
    .flatMap(({ input }) => input.fields)
    .filter(({ name }) => /(?:^|_)names?$/.test(name));
  const without = called.filter((field) => {
    const rules = stringRulesOf(field);
    return rules === undefined || namePattern(rules) === "";
  });
  expect(without.map(String)).toEqual([]);
});

test.for(fields)(
  "$method.name says what is wrong with its $path, and writes nothing",
  async ({ method, field }) => {
    await using world = await newWorld({ nodeCount: 0, inMemory: true });
    const before = await world.residue();
    const isBad = (name: string) =>
      !(name === "" && field.isOptional) && !(field.isShared && SHARED_NAME.test(name));
    const also = field.isShared ? `, and may have a project and "/" before` : "";
    for (const name of BAD_NAMES.filter(isBad)) {
      const refusal = await refused(send(world, method, field, name));
      expect(refusal).toMatchObject({ code: "InvalidArgument", field: field.path });
      expect(refusal.message).toBe(
        `${field.path}: must be 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit${also}`,
      );
    }
    expect(await world.residue()).toEqual(before);
  },
);

test("all that is wrong with a request is said at once", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const annotations = { "": "no key" };
  const call = world.virtualMachines.createVirtualMachine({
    name: "a b",
    annotations,
    nics: [{ networkName: "no net" }],
  });
  const { message } = await refused(call);
  for (const field of ["name:", 'annotations[""]:', "nics[0].network_name:"]) {
    expect(message).toContain(field);
  }
});

test("annotations and labels are kept as they were given, whatever they hold", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const annotations = { "n0core/x": "100", "%": "%s %d", "a\nb": "\u0000", constructor: "18.04" };
  const made = await world.images.applyImage({ name: "a", annotations, labels: annotations });
  expect(made).toMatchObject({ annotations, labels: annotations });
  expect(await world.images.getImage({ name: "a" })).toEqual(made);
});
