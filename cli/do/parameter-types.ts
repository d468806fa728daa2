import { ScalarType } from "@bufbuild/protobuf";
import { parseBytes } from "../../src/util/bytes.ts";
import { N0Error } from "../../src/util/errors.ts";
import { scalarFromText } from "../convert/scalar.ts";
import type { Tree } from "./yaml-tree.ts";

export const TYPES = ["string", "int", "number", "bool", "size", "list", "map"] as const;
export type ParameterType = (typeof TYPES)[number];

/** A value that has an order. */
export type Amount = bigint | number;

const SCALARS: Readonly<Partial<Record<ParameterType, ScalarType>>> = {
  int: ScalarType.INT64,
  number: ScalarType.DOUBLE,
  bool: ScalarType.BOOL,
};

const WORDS: Readonly<Record<ParameterType, string>> = {
  string: "one text",
  int: "a whole number",
  number: "a number",
  bool: "true or false",
  size: "a size, such as 10GiB",
  list: "a list",
  map: "a map",
};

/** The value of a number or a size; undefined if the text is not one. */
export function amountOf(type: ParameterType, text: string): Amount | undefined {
  try {
    if (type === "size") return parseBytes(text);
    if (type === "int")
      return BigInt(String(scalarFromText({ name: "", scalar: ScalarType.INT64 }, text)));
    return Number(scalarFromText({ name: "", scalar: ScalarType.DOUBLE }, text));
  } catch (reason) {
    if (reason instanceof N0Error) return undefined;
    throw reason;
  }
}

/** The value as its type has it, or the reason why it is not of the type, without the value. */
export function ofType(type: ParameterType, tree: Tree): Tree | string {
  const wrong = `must be ${WORDS[type]}`;
  if (type === "list") return tree.kind === "list" ? tree : wrong;
  if (type === "map") return tree.kind === "table" ? tree : wrong;
  if (tree.kind !== "leaf" || tree.isNull) return wrong;
  if (type === "string") return tree;
  if (type === "size") return amountOf(type, tree.text) === undefined ? wrong : tree;
  try {
    const scalar = SCALARS[type];
    const json = scalarFromText({ name: "", scalar }, tree.text);
    return { ...tree, text: String(json) };
  } catch (reason) {
    if (reason instanceof N0Error) return wrong;
    throw reason;
  }
}
