// Writes examples/do.schema.json, the JSON Schema of the files that `n0cli do` runs, from the protos with their
// comments and rules. Editors complete and check such files with it. Run by npm run gen.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  createFileRegistry,
  type DescMessage,
  type DescService,
  fromBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { schemaText } from "../../cli/do/schema-text.ts";
import { RESOURCES } from "../../cli/resource/all.ts";
import { aboutOf, fieldSchema, REFERENCE, type Schema } from "./fields.ts";
import { PARAMETER } from "./parameter.ts";

const ROOT = join(import.meta.dirname, "../..");
export const FILE = join(ROOT, "examples/do.schema.json");

const DEPENDS_ON = {
  anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }, { type: "null" }],
};

/** The services of `do` by each word that a task may write as its type. */
function typesOf(services: readonly DescService[]): [word: string, service: DescService][] {
  return RESOURCES.flatMap(({ name, typeName }) => {
    const service = services.find((one) => one.name === `${typeName}Service`);
    if (service === undefined) throw new Error(`no proto has a service of ${typeName}`);
    return [...new Set([name, typeName])].map((word): [string, DescService] => [word, service]);
  });
}

/** The whole schema, as text. */
export function doSchema(): string {
  const image = execFileSync(
    join(ROOT, "node_modules/.bin/buf"),
    ["build", "proto", "--output", "-"],
    {
      cwd: ROOT,
      maxBuffer: 1 << 26,
    },
  );
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  const services = [...registry].filter((one) => one.kind === "service");
  const types = typesOf(services);
  const messages = new Map<string, Schema>();
  const refTo = (desc: DescMessage): Schema => {
    if (!messages.has(desc.typeName)) {
      // Before its fields, which may lead back to it.
      messages.set(desc.typeName, {});
      messages.set(desc.typeName, messageSchema(desc, refTo));
    }
    return { $ref: `#/definitions/${desc.typeName}` };
  };
  const task = taskSchema(types, refTo);
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Tasks of n0cli do",
    description:
      "A map from names to tasks. A key that begins with x- holds values that tasks share.",
    type: "object",
    properties: {
      parameters: orTask({
        description: "The values that the user of the file chooses, by name.",
        type: ["object", "null"],
        additionalProperties: { $ref: "#/definitions/parameter" },
      }),
      outputs: orTask({
        description: "The values that are printed when all tasks are done, by name.",
        type: ["object", "null"],
      }),
    },
    patternProperties: { "^x-": {} },
    additionalProperties: { $ref: "#/definitions/task" },
    definitions: {
      task,
      parameter: PARAMETER,
      reference: REFERENCE,
      ...Object.fromEntries([...messages].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
  return schemaText(schema);
}

/** A key of its own, unless a task has that name. */
function orTask(schema: Schema): Schema {
  const isTask = { type: "object", required: ["type", "action"] };
  return Object.fromEntries([
    pair("if", { ...isTask, properties: { type: { type: "string" }, action: { type: "string" } } }),
    pair("then", { $ref: "#/definitions/task" }),
    pair("else", schema),
  ]);
}

function taskSchema(
  types: readonly [string, DescService][],
  refTo: (desc: DescMessage) => Schema,
): Schema {
  const words = (service: DescService) =>
    types.filter(([, one]) => one === service).map(([word]) => word);
  const choices = [...new Set(types.map(([, service]) => service))].map((service) => {
    const methods = service.methods.filter(({ methodKind }) => methodKind === "unary");
    const args = methods.map(({ name, input }) =>
      when("action", { const: name }, { args: { anyOf: [refTo(input), { type: "null" }] } }),
    );
    const action = { action: { enum: methods.map(({ name }) => name) } };
    return when("type", { enum: words(service) }, action, args);
  });
  return {
    type: "object",
    required: ["type", "action"],
    additionalProperties: false,
    properties: {
      type: { description: "The kind of object.", enum: types.map(([word]) => word) },
      action: { description: "An RPC of the service of that kind.", type: "string" },
      args: { description: "The fields of the request." },
      depends_on: { description: "The tasks that come before this one.", ...DEPENDS_ON },
      for_each: {
        description: "A list, a map or a count: the task runs once for each value.",
        type: ["array", "object", "integer", "string"],
      },
      ignore_error: { description: "Go on if it fails.", type: ["boolean", "string", "null"] },
    },
    allOf: choices,
  };
}

/** What these properties must be, and what else must be true, where `property` has that value. */
function when(
  property: string,
  value: Schema,
  properties: Schema,
  allOf: readonly Schema[] = [],
): Schema {
  const consequence = { properties, ...(allOf.length === 0 ? {} : { allOf }) };
  // From pairs, because an object that is written with a key `then` looks like a promise.
  return Object.fromEntries([
    pair("if", { properties: { [property]: value }, required: [property] }),
    pair("then", consequence),
  ]);
}

function pair(key: string, schema: Schema): [string, Schema] {
  return [key, schema];
}

function messageSchema(desc: DescMessage, refTo: (desc: DescMessage) => Schema): Schema {
  const fields = desc.fields.map((field) => [field.name, fieldSchema(field, refTo)] as const);
  return {
    ...aboutOf(desc),
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(fields),
  };
}

if (import.meta.main) writeFileSync(FILE, doSchema());
