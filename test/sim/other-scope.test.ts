import { expect, test, vi } from "vitest";
import type { Call } from "../../src/api/core/context.ts";
import { DEFAULT_SCOPE, homeOf } from "../../src/util/ref.ts";
import { simulate } from "./simulation.ts";

vi.setConfig({ testTimeout: 300_000 });

const SCOPE = "acme";

// No request can name a scope yet. So the one place where a scope comes from a request is another one here.
vi.mock(import("../../src/api/core/scope.ts"), () => {
  const scopeOf = (_call: Pick<Call, "values">, kind: string) => {
    const home = homeOf(kind);
    return home === DEFAULT_SCOPE ? SCOPE : home;
  };
  return {
    scopeOf,
    refOf: (call, { kind }, name) => ({ kind, scope: scopeOf(call, kind), name }),
  };
});

test("all is as it must be where the users' objects are in another scope than the default one", async () => {
  const { violations, coverage } = await simulate({
    ops: 600,
    nodes: 3,
    clients: 8,
    seed: 7,
    scope: SCOPE,
  });
  expect(violations).toEqual([]);
  expect(coverage.committed.get("CreateVirtualMachine")).toBeGreaterThan(5);
});
