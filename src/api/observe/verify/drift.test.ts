import { describe, expect, test } from "vitest";
import { DRIFT_CASES } from "../../../../test/verify-cases.ts";
import { CODES } from "../../../../test/verify-codes.ts";
import {
  findingsIn,
  handsOn,
  linesOf,
  newVerifyWorld,
  repairIn,
} from "../../../../test/verify-world.ts";
import { RepairOutcome } from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";

const sorted = (codes: readonly string[]) => codes.toSorted();

test("every code has a case", () => {
  expect(sorted(Object.keys(DRIFT_CASES))).toEqual(sorted(Object.keys(CODES)));
});

describe.each(Object.entries(DRIFT_CASES))("%s", (code, driftCase) => {
  const { drift, found = [code], left = [] } = driftCase;

  test("is found, shown without a change, and repaired or left to a person", async () => {
    await using world = await newVerifyWorld();
    expect(linesOf(await findingsIn(world))).toEqual([]);
    await drift(handsOn(world));

    const before = await world.residue();
    const findings = await findingsIn(world);
    expect(sorted(findings.map((f) => f.code)), linesOf(findings).join("\n")).toEqual(
      sorted(found),
    );
    expect(await world.residue(), "looking changes nothing").toEqual(before);
    for (const { repair, expected, found: seen, resource } of findings) {
      expect([repair, expected, seen, resource].filter((text) => text === "")).toEqual([]);
    }

    const answers = await repairIn(world);
    const failed = answers.filter(({ outcome }) => outcome === RepairOutcome.FAILED);
    expect(failed.map(({ finding, error }) => `${finding?.code}: ${error}`)).toEqual([]);
    await world.opened.api.engine.settled();
    const rest = await findingsIn(world);
    expect(sorted(rest.map((f) => f.code)), linesOf(rest).join("\n")).toEqual(sorted(left));
    if (sorted(found).join() === sorted(left).join()) {
      expect(await world.residue(), "what is left is not touched").toEqual(before);
    }
  });
});
