import type { DescField, DescMessage, JsonValue, Message } from "@bufbuild/protobuf";
import { create, fromJson, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Dice } from "../sim/dice.ts";
import { countFor, scalarFor, stringFor } from "./values.ts";
import type { Encoding } from "./wire.ts";

const DEPTH_MAX = 4;

/**
 * A message of random fields. With `example`, most fields are taken from it, so that it gets past the first
 * rules.
 */
export function randomMessage(desc: DescMessage, dice: Dice, example?: JsonValue): Message {
  if (example !== undefined && dice.chance(0.7)) {
    const message = fromJson(desc, example);
    const changes = dice.pick([0, 0, 1, 1, 2, 5]);
    for (let i = 0; i < changes && desc.fields.length > 0; i++) {
      setRandomly(reflect(desc, message), dice.pick(desc.fields), dice, 0);
    }
    return message;
  }
  return filled(desc, dice, 0).message;
}

function filled(desc: DescMessage, dice: Dice, depth: number): ReflectMessage {
  const target = reflect(desc, create(desc));
  for (const field of desc.fields) {
    if (dice.chance(0.6)) setRandomly(target, field, dice, depth);
  }
  return target;
}

function setRandomly(target: ReflectMessage, field: DescField, dice: Dice, depth: number): void {
  switch (field.fieldKind) {
    case "scalar":
      return target.set(field, scalarFor(field, field.scalar, dice));
    case "enum":
      return target.set(field, dice.pick([...field.enum.values.map((v) => v.number), 999, -1]));
    case "message":
      if (depth >= DEPTH_MAX) return;
      return target.set(field, filled(field.message, dice, depth + 1));
    case "list":
      return fillList(target, field, dice, depth);
    case "map":
      return fillMap(target, field, dice, depth);
  }
}

type ListField = DescField & { fieldKind: "list" };
type MapField = DescField & { fieldKind: "map" };

function fillList(target: ReflectMessage, field: ListField, dice: Dice, depth: number): void {
  if (depth >= DEPTH_MAX) return;
  const list = target.get(field);
  const count = countFor(dice);
  // A long list of equal items: only its length matters.
  const isLong = count > 10;
  for (let i = 0; i < count; i++) {
    if (field.listKind === "message") {
      list.add(isLong ? reflect(field.message) : filled(field.message, dice, depth + 1));
    } else if (field.listKind === "enum") list.add(dice.pick([0, 1, 999]));
    else list.add(scalarFor(field, field.scalar, dice));
    if (isLong && i === 100 && field.listKind !== "message") {
      for (let more = i; more < count; more++) list.add(list.get(0));
      return;
    }
  }
}

function fillMap(target: ReflectMessage, field: MapField, dice: Dice, depth: number): void {
  if (depth >= DEPTH_MAX) return;
  const map = target.get(field);
  const count = countFor(dice);
  for (let i = 0; i < count; i++) {
    const text = stringFor(field, dice);
    const key = typeof mapKey(field) === "string" ? (i > 3 ? `${i}` : text) : i;
    if (field.mapKind === "message") map.set(key, filled(field.message, dice, depth + 1));
    else if (field.mapKind === "enum") map.set(key, 1);
    else map.set(key, scalarFor(field, field.scalar, dice));
  }
}

/** An example key of each type. */
function mapKey(field: MapField): string | number {
  // 9 is ScalarType.STRING. The keys in this project are strings.
  return field.mapKey === 9 ? "" : 0;
}

const ENCODER = new TextEncoder();

/** Undefined if JSON cannot express it, such as a mask with an unknown path. */
export function encoded(
  desc: DescMessage,
  message: Message,
  encoding: Encoding,
): Uint8Array | undefined {
  try {
    if (encoding === "proto") return toBinary(desc, message);
    return ENCODER.encode(toJsonString(desc, message));
  } catch {
    return undefined;
  }
}
