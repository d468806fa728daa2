import { expect, test } from "vitest";
import { announce, makeThing, takeSlot } from "../../test/toy-saga.ts";
import type { Json } from "../util/json.ts";
import { StepRegistry } from "./registry.ts";

type Named = { readonly name: string };

test("steps are found by their names, and the two sorts apart", () => {
  const registry = new StepRegistry().add(takeSlot, makeThing).addRetriable(announce);
  expect(registry.step("toy.make_thing")).toBe(makeThing);
  expect(registry.retriable("toy.announce")).toBe(announce);
  expect(() => registry.step("toy.announce")).toThrow("no step named toy.announce");
  expect(registry.names()).toEqual({
    steps: ["toy.take_slot", "toy.make_thing"],
    retriables: ["toy.announce"],
  });
});

test("the same step may be added twice, another of the same name not", () => {
  const registry = new StepRegistry().add(makeThing).add(makeThing);
  expect(() => registry.add({ ...makeThing })).toThrow("two steps are named toy.make_thing");
});

test("the input of an older version is converted before its undo, its act and what they leave", async () => {
  const seen: unknown[] = [];
  const today = (input: Json) => (typeof input === "string" ? { name: input } : (input as Named));
  const leaves = ({ name }: Named) => `the thing "${name}"`;
  const look = async (_: unknown, input: Named) => void seen.push(input);
  const registry = new StepRegistry()
    .add({ name: "thing.make", today, act: look, undo: look, leaves })
    .addRetriable({ name: "thing.remove", today, act: look, leaves });
  const scope = { transactionId: "t", generation: 1, signal: new AbortController().signal };
  for (const input of ["old", { name: "new" }]) {
    await registry.step("thing.make").undo({}, input, scope);
    await registry.retriable("thing.remove").act({}, input, scope);
  }
  const [older, newer] = [{ name: "old" }, { name: "new" }];
  expect(seen).toEqual([older, older, newer, newer]);
  expect(registry.step("thing.make").leaves!("old")).toBe('the thing "old"');
  expect(registry.retriable("thing.remove").leaves!("old")).toBe('the thing "old"');
});
