import { expect, test } from "vitest";
import { toDomainState } from "./domain-state.ts";

test.each([
  [1, 1, "running"],
  [2, 0, "running"],
  [3, 1, "paused"],
  [3, 5, "out_of_space"],
  [4, 1, "running"],
  [5, 1, "shut_off"],
  [5, 3, "crashed"],
  [6, 1, "crashed"],
  [7, 1, "paused"],
])("libvirt's state %d for its reason %d is %s", (state, reason, expected) => {
  expect(toDomainState({ state, reason })).toBe(expected);
});
