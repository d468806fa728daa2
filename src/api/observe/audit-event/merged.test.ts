import { expect, test } from "vitest";
import { collect } from "../../../../test/collect.ts";
import { merged } from "./merged.ts";

async function* of(...ids: readonly string[]) {
  for (const id of ids) yield { id };
}

test("the largest comes first, and what two streams have comes once", async () => {
  const all = merged(of("9", "5", "1"), of(), of("8", "5", "4"), of("5", "4", "0"));
  expect((await collect(all)).map(({ id }) => id)).toEqual(["9", "8", "5", "4", "1", "0"]);
});

test("streams that nobody reads on are ended", async () => {
  let isEnded = false;
  async function* endless() {
    try {
      for (let i = 99; ; i -= 1) yield { id: String(i) };
    } finally {
      isEnded = true;
    }
  }
  for await (const { id } of merged(endless(), of("98"))) if (id === "98") break;
  expect(isEnded).toBe(true);
});
