// Copies the .proto files that ours import from npm packages into third_party/, so that generating needs no
// network. No package contains the validation rules as a .proto file; this prints them from the descriptor
// inside of @bufbuild/protovalidate.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  ScalarType,
} from "@bufbuild/protobuf";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { runProgram } from "./run-program.ts";

const OUT = "third_party";
const COPIES = {
  "google/rpc/error_details.proto":
    "node_modules/google-proto-files/google/rpc/error_details.proto",
  "grpc/health/v1/health.proto": "node_modules/grpc-health-check/proto/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto":
    "node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto",
  "grpc/reflection/v1alpha/reflection.proto":
    "node_modules/@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto",
};

function typeName(field: DescField | DescExtension): string {
  if (field.fieldKind === "map") {
    const value =
      field.mapKind === "scalar"
        ? scalar(field.scalar)
        : `.${(field.message ?? field.enum)!.typeName}`;
    return `map<${scalar(field.mapKey)}, ${value}>`;
  }
  if (field.message !== undefined) return `.${field.message.typeName}`;
  if (field.enum !== undefined) return `.${field.enum.typeName}`;
  return scalar(field.scalar!);
}

function scalar(type: ScalarType): string {
  return ScalarType[type].toLowerCase();
}

/** Proto2 syntax, which writes `optional`, `required` or `repeated` for each field outside of a oneof. */
function fieldLine(field: DescField | DescExtension, indent: string): string {
  const isPlain = field.kind === "extension" || field.oneof === undefined;
  const label =
    field.fieldKind === "map" || !isPlain
      ? ""
      : field.fieldKind === "list"
        ? "repeated "
        : "optional ";
  return `${indent}${label}${typeName(field)} ${field.name} = ${field.number};\n`;
}

function enumText(desc: DescEnum, indent: string): string {
  const values = desc.values.map((v) => `${indent}  ${v.name} = ${v.number};\n`).join("");
  return `${indent}enum ${desc.name} {\n${values}${indent}}\n`;
}

function messageText(desc: DescMessage, indent: string): string {
  const inner = `${indent}  `;
  let text = `${indent}message ${desc.name} {\n`;
  for (const nested of desc.nestedEnums) text += enumText(nested, inner);
  for (const nested of desc.nestedMessages) text += messageText(nested, inner);
  for (const member of desc.members) {
    if (member.kind === "field") text += fieldLine(member, inner);
    else
      text += `${inner}oneof ${member.name} {\n${member.fields.map((f) => fieldLine(f, `${inner}  `)).join("")}${inner}}\n`;
  }
  for (const range of desc.proto.extensionRange)
    text += `${inner}extensions ${range.start} to ${range.end === 536870912 ? "max" : (range.end ?? 0) - 1};\n`;
  return `${text}${indent}}\n`;
}

function fileText(file: DescFile): string {
  let text = `syntax = "proto2";\n\npackage ${file.proto.package};\n\n`;
  for (const path of file.proto.dependency) text += `import "${path}";\n`;
  for (const extension of file.extensions)
    text += `extend ${extension.extendee.typeName} {\n${fieldLine(extension, "  ")}}\n`;
  for (const desc of file.enums) text += enumText(desc, "");
  for (const desc of file.messages) text += messageText(desc, "");
  return text;
}

/** Writes only if it differs, since others may be reading the file. */
function put(path: string, text: string): void {
  const target = join(OUT, path);
  if (existsSync(target) && readFileSync(target, "utf8") === text) return;
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

await runProgram("third-party-protos", async () => {
  for (const [path, source] of Object.entries(COPIES)) put(path, readFileSync(source, "utf8"));
  put("buf/validate/validate.proto", fileText(file_buf_validate_validate));
  return 0;
});
