import fc from "fast-check";
import { expect, test } from "vitest";
import { AMOUNTS, type Amounts } from "./amounts.ts";
import type { Share } from "./counting.ts";
import { Tally } from "./tally.ts";

const amounts = fc.dictionary(
  fc.constantFrom(...AMOUNTS),
  fc.bigInt(0n, 5n),
) as fc.Arbitrary<Amounts>;
const share: fc.Arbitrary<Share> = fc.record({
  project: fc.constantFrom("a", "b"),
  group: fc.constantFrom("g", "h"),
  amounts,
});

/** From the beginning: for each group the largest of each amount. */
function sumOf(shares: readonly Share[], projects: readonly string[], name: keyof Amounts): bigint {
  let sum = 0n;
  for (const project of projects) {
    for (const group of ["g", "h"]) {
      const sizes = shares
        .filter((one) => one.project === project && one.group === group)
        .map((one) => one.amounts[name] ?? 0n);
      sum += sizes.reduce((most, size) => (size > most ? size : most), 0n);
    }
  }
  return sum;
}

test("what is added and removed sums up to what is there", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(share, fc.nat(3))), (changes) => {
      const tally = new Tally((project) => [`project.${project}`, "domain.d"]);
      const present: Share[] = [];
      for (const [added, remove] of changes) {
        tally.add(added);
        present.push(added);
        const [gone] = remove < present.length && remove > 0 ? present.splice(remove, 1) : [];
        if (gone !== undefined) tally.remove(gone);
        for (const name of AMOUNTS) {
          for (const project of ["a", "b"]) {
            expect(tally.used(`project.${project}`, name)).toBe(sumOf(present, [project], name));
          }
          expect(tally.used("domain.d", name)).toBe(sumOf(present, ["a", "b"], name));
        }
      }
    }),
  );
});
