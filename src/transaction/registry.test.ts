import { expect, test } from "vitest";
import { announce, makeThing, takeSlot } from "../../test/toy-saga.ts";
import { StepRegistry } from "./registry.ts";

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
