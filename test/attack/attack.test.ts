// A minute of `npm run attack`, the same each time.
import { describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { SEED } from "../seeds.ts";
import { formatFinding } from "./findings.ts";
import { ATTACKS, attackServers } from "./run.ts";

describe.runIf(requirement("qemu-img"))("servers that are attacked", () => {
  test("do nothing that they must not, and keep nothing", async () => {
    const said: string[] = [];
    const say = (line: string) => void said.push(line);
    const findings = await attackServers({ seconds: 60, seed: SEED, attacks: ATTACKS, say });
    console.log(said.join("\n"));
    expect(findings.map(formatFinding)).toEqual([]);
  });
});
