import { expect, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { overlaps, pickTransit, transit6Of } from "./transit.ts";

const pool = "100.127.0.0/16";

test("a subnet holds the node's end and the Network's end", () => {
  const transit = pickTransit("100.127.8.0/30", [], "any")!;
  expect(transit).toEqual({
    outside: "100.127.8.1/30",
    inside: "100.127.8.2/30",
    via: "100.127.8.1",
  });
});

test("the IPv6 subnet of an uplink is that of its IPv4 address", () => {
  expect(transit6Of("100.127.8.2/30")).toEqual({
    outside: "fd6e:3073:7461:636b::647f:801/126",
    inside: "fd6e:3073:7461:636b::647f:802/126",
    via: "fd6e:3073:7461:636b::647f:801",
  });
});

test("the same seed begins at the same place, another elsewhere", () => {
  expect(pickTransit(pool, [], "n0-a")).toEqual(pickTransit(pool, [], "n0-a"));
  expect(pickTransit(pool, [], "n0-a")).not.toEqual(pickTransit(pool, [], "n1-a"));
});

test("every subnet is given once, then none is left", () => {
  const taken: string[] = [];
  for (let n = 0; n < 64; n++) {
    const transit = pickTransit("100.127.8.0/24", taken, "seed")!;
    for (const other of taken) expect(overlaps(other, transit.outside)).toBe(false);
    taken.push(transit.outside);
  }
  expect(new Set(taken).size).toBe(64);
  expect(pickTransit("100.127.8.0/24", taken, "seed")).toBeUndefined();
});

test("what is picked overlaps nothing that is taken, whatever its size", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const cidr = fc
    .tuple(octet, octet, fc.integer({ min: 17, max: 32 }))
    .map(([c, d, length]) => `100.127.${c}.${d}/${length}`);
  fc.assert(
    fc.property(fc.array(cidr, { maxLength: 20 }), fc.string(), (taken, seed) => {
      const transit = pickTransit(pool, taken, seed);
      if (transit === undefined) return;
      expect(overlaps(pool, transit.inside)).toBe(true);
      for (const other of taken) expect(overlaps(other, transit.inside)).toBe(false);
    }),
  );
});

test("a route that holds the whole pool takes nothing of it; one beside it neither", () => {
  expect(pickTransit("100.127.8.0/30", ["100.64.0.0/10", "100.127.9.0/24"], "x")).toBeDefined();
  expect(pickTransit("100.127.8.0/30", ["100.127.8.3"], "x")).toBeUndefined();
});
