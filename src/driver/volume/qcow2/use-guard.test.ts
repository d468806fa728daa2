import { expect, test } from "vitest";
import { kindOf } from "../../../util/errors.ts";
import { newUseGuard } from "./use-guard.ts";

const kindOfFailure = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return kindOf(error);
  }
  return undefined;
};

test("many may use a volume, and nobody changes it meanwhile", () => {
  const guard = newUseGuard();
  {
    using _first = guard.use("a");
    {
      using _second = guard.use("a");
    }
    expect(kindOfFailure(() => guard.change("a"))).toBe("aborted");
    using _other = guard.change("b");
  }
  using _changed = guard.change("a");
});

test("one may change a volume, and nobody uses or changes it meanwhile", () => {
  const guard = newUseGuard();
  {
    using _changed = guard.change("a");
    expect(kindOfFailure(() => guard.change("a"))).toBe("aborted");
    expect(kindOfFailure(() => guard.use("a"))).toBe("aborted");
  }
  using _used = guard.use("a");
});
