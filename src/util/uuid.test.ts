import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { parseUuid, uuidV5 } from "./uuid.ts";

const DNS = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

test("a name gives the UUID of RFC 9562", () => {
  expect(uuidV5(DNS, "www.example.com")).toBe("2ed6657d-e927-568b-95e1-2665a8aea6a2");
  expect(uuidV5("a015d18d-b2c3-4181-8028-6f707ef31c95", "web")).toBe(
    "137c9f99-830b-594d-9e32-78bb60865f33",
  );
});

test("every name gives a UUID of version 5, and the same each time", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => {
      const uuid = uuidV5(DNS, name);
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(parseUuid(uuid)).toBe(uuid);
      expect(uuidV5(DNS, name)).toBe(uuid);
    }),
  );
});

test("a UUID is read in either case, and nothing else is one", () => {
  fc.assert(
    fc.property(fc.uuid(), (uuid) => {
      expect(parseUuid(uuid.toUpperCase())).toBe(uuid);
    }),
  );
  for (const text of ["", "x", `{${DNS}}`, `${DNS} `, DNS.replaceAll("-", ""), `${DNS}\n`]) {
    expect(parseUuid(text)).toBeUndefined();
  }
});
