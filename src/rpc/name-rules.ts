import { createRegistry, getOption, hasExtension } from "@bufbuild/protobuf";
import type { StringRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { predefined } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { file_n0stack_rules_v1alpha1_rules as rulesFile } from "../gen/n0stack/rules/v1alpha1/rules_pb.ts";

/** Our own rules of fields, for the validator. */
export const nameRules = createRegistry(rulesFile);

const PATTERNS = rulesFile.extensions.map((rule) => {
  const { expression = "" } = getOption(rule, predefined).cel[0] ?? {};
  return { rule, pattern: /this\.matches\('(.+)'\)/.exec(expression)?.[1] ?? "" };
});

/** The pattern of our own rule that these rules of a field name; empty for none. */
export function namePattern(rules: StringRules): string {
  return PATTERNS.find(({ rule }) => hasExtension(rules, rule))?.pattern ?? "";
}
