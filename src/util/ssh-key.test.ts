import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSshPublicKey } from "./ssh-key.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2yWyJYqjKkl8L0b0yGWVb6tRHXGZ1fYkLw1H4i7Q3b";

/** A key of `type` with `bytes` of whatever such a key holds, as RFC 4253 section 6.6 writes it. */
function keyOf(type: string, bytes: Uint8Array): string {
  const field = (data: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, data]);
  };
  return `${type} ${Buffer.concat([field(Buffer.from(type)), field(bytes)]).toString("base64")}`;
}

test.for([
  "ssh-ed25519",
  "ssh-rsa",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ssh-ed25519@openssh.com",
  "sk-ecdsa-sha2-nistp256@openssh.com",
])("%s is a type of keys", (type) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 600 }), (bytes) => {
      const key = keyOf(type, bytes);
      expect(parseSshPublicKey(key)).toBe(key);
    }),
    { numRuns: 20 },
  );
});

test("white space around is cut off, and the comment is kept", () => {
  expect(parseSshPublicKey(`\n ${KEY}  me@home äö  \n`)).toBe(`${KEY} me@home äö`);
});

test.for([
  "",
  "ssh-ed25519",
  "ssh-ed25519 AAAA",
  "ssh-ed25519 !!!!",
  KEY.replace("ssh-ed25519", "ssh-rsa"),
  KEY.replace("ssh-ed25519", "ssh-dss"),
  `command="/bin/sh" ${KEY}`,
  `${KEY} me\n${KEY} you`,
  `${KEY} me\rwith a carriage return`,
  `${KEY} me\u0000`,
  "-----BEGIN OPENSSH PRIVATE KEY-----",
  keyOf("ssh-dss", new Uint8Array(40)),
])("%j is no key", (text) => {
  expect(parseSshPublicKey(text)).toBeUndefined();
});

test("whatever is accepted is one line that begins with a type and base64", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string().map((comment) => `${KEY} ${comment}`),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const key = parseSshPublicKey(text);
      if (key !== undefined) expect(key).toMatch(/^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( \P{Cc}+)?$/u);
    }),
  );
});
