import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import {
  contains,
  type Family,
  formatAddress,
  formatCidr,
  hasRoom,
  hostRange,
  overlaps,
  parseAddress,
  parseCidr,
} from "./cidr.ts";

const BITS = { 4: 32, 6: 128 } as const;
const families = fc.constantFrom<Family>(4, 6);

function addresses(family: Family) {
  return fc.bigInt({ min: 0n, max: (1n << BigInt(BITS[family])) - 1n });
}

const cidrs = families.chain((family) =>
  fc
    .record({ address: addresses(family), prefixLength: fc.nat(BITS[family]) })
    .map(
      ({ address, prefixLength }) =>
        parseCidr(`${formatAddress(address, family)}/${prefixLength}`, family)!,
    ),
);

test("an address that is formatted and parsed is the same, and no address of the other family", () => {
  const cases = families.chain((family) => fc.tuple(fc.constant(family), addresses(family)));
  fc.assert(
    fc.property(cases, ([family, address]) => {
      const text = formatAddress(address, family);
      expect(parseAddress(text, family)).toBe(address);
      expect(parseAddress(text, family === 4 ? 6 : 4)).toBeUndefined();
    }),
  );
});

test("IPv6 is written as RFC 5952 says: the URL parser of the platform writes the same", () => {
  // Runs of zeros are rare in random numbers.
  const groups = fc.array(fc.constantFrom<bigint[]>(0n, 0n, 0n, 1n, 0xffffn, 0xabcn), {
    minLength: 8,
    maxLength: 8,
  });
  fc.assert(
    fc.property(groups, (parts) => {
      const address = parts.reduce((sum: bigint, part) => (sum << 16n) | part, 0n);
      const text = formatAddress(address, 6);
      expect(`[${text}]`).toBe(new URL(`http://[${text}]`).hostname);
    }),
  );
});

test.for([
  ["::", 0n],
  ["::1", 1n],
  ["1::", 1n << 112n],
  ["::ffff:192.0.2.1", 0xffff_c000_0201n],
  ["FD00:0:0::A", (0xfd00n << 112n) | 10n],
] as const)("%s is an IPv6 address", ([text, address]) => {
  expect(parseAddress(text, 6)).toBe(address);
});

test.for(["", "1", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1 ", "0x0a.0.0.1"])(
  "%j is no IPv4 address",
  (text) => {
    expect(parseAddress(text, 4)).toBeUndefined();
  },
);

test.for(["", ":", ":::", "1::2::3", "fe80::1%eth0", "1:2:3:4:5:6:7:8:9", "12345::", "[::1]"])(
  "%j is no IPv6 address",
  (text) => {
    expect(parseAddress(text, 6)).toBeUndefined();
  },
);

test.for([
  "10.0.0.0",
  "10.0.0.0/",
  "10.0.0.0/33",
  "10.0.0.0/-1",
  "10.0.0.0/8/8",
  "/8",
  "10.0.0.0/8 ",
])("%j is no IPv4 CIDR", (text) => {
  expect(parseCidr(text, 4)).toBeUndefined();
});

test("whatever text is given, it parses to a CIDR of the family or to nothing", () => {
  fc.assert(
    fc.property(fc.string(), families, (text, family) => {
      expect([undefined, family]).toContain(parseCidr(text, family)?.family);
      expect(["undefined", "bigint"]).toContain(typeof parseAddress(text, family));
    }),
  );
});

test("a CIDR is canonical: bits behind the prefix do not count", () => {
  fc.assert(
    fc.property(cidrs, (cidr) => {
      expect(parseCidr(formatCidr(cidr), cidr.family)).toEqual(cidr);
      expect(contains(cidr, cidr.base)).toBe(true);
      expect(contains(cidr, cidr.base - 1n)).toBe(false);
    }),
  );
});

test("two of one family overlap if, and only if, one contains the base of the other", () => {
  fc.assert(
    fc.property(cidrs, cidrs, (a, b) => {
      const isInside = contains(a, b.base) || contains(b, a.base);
      expect(overlaps(a, b)).toBe(a.family === b.family && isInside);
      expect(overlaps(b, a)).toBe(overlaps(a, b));
    }),
  );
});

test("hosts are all addresses but the network's own and IPv4's broadcast", () => {
  fc.assert(
    fc.property(cidrs.filter(hasRoom), (cidr) => {
      const { first, last } = hostRange(cidr);
      expect(last - first).toBeGreaterThanOrEqual(1n);
      expect(contains(cidr, first) && contains(cidr, last)).toBe(true);
      expect(contains(cidr, first - 2n)).toBe(false);
      expect(contains(cidr, last + (cidr.family === 4 ? 2n : 1n))).toBe(false);
    }),
  );
});

test("a network without room for a gateway and a guest is known as such", () => {
  for (const [text, family, room] of [
    ["10.0.0.0/30", 4, true],
    ["10.0.0.0/31", 4, false],
    ["10.0.0.0/32", 4, false],
    ["fd00::/126", 6, true],
    ["fd00::/127", 6, false],
  ] as const) {
    expect(hasRoom(parseCidr(text, family)!)).toBe(room);
  }
});
