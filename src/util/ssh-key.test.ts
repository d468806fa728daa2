import { expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import { N0Error } from "./errors.ts";
import { parseSshPublicKey } from "./ssh-key.ts";
import { SSH_KEY_TYPES } from "./ssh-key-blob.ts";

// Made by OpenSSH 9.2.
const ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO+q3/OWFpOOFRaX3zFgUYKROBB0abQAS4aCM+CWn0s7";
const RSA =
  "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCUX7XZSCll+Nhhi4m6Wd80ET1STTgFgTd6NBjns2SogdfsYW2fkR6MED8jYJHB9+1Pr2RfXCmr/DJS6VyOxIxEtgTTMXZWHTBdNV+f9kkhgO/L7/05rI0CmtaYFsdElj05/92v+rBgSC7fPzct7N6VHASHk7d5QU5NUlxEhuWtMedpsp8IErRcHmhWNj9vPFOPXYxA29kzDn2tT4sQSjgrYotVLjUAdQ5NwuuEsLIweJPDa1UW4zOANshNFvbIuqhsmA3nA+Cr5546aJXOBvGjuC41p6niiB418aV+hTDBY5ki+Q44bYygWebXNAbdimUWzNmvQ4MMv7/jdasrp68X";
const RSA_1024 =
  "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCqK0UFDfgG0IdMUwtFeaFzK9NLe+UT6BagAJSCLD8O+BoJM35DL9H0liCPfCDAcvVyjGNsoQWOJutc1IsA5r6gN//hU1I3w4pf24WTrkFNOhx2+s9rCzlHrjSPkjjhih8k2sNTdn5VtRKaTgYM99FlgSLmjSUiX1OD7cie8u7+Uw==";
const P256 =
  "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKjnagMGFpA//wnmy75Har8y5EvosBuqidB1dIgTtI7f2Jw1I7U6zdXjCT/fggx5Y26ewrUhpxJNz2sFP6Hu/54=";
const P384 =
  "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBBQq+dbCIaZLCExW90fS1GHwaSEsBiO7G9iHIfsvxQc1WKZ+spdbpSAato1l/ActQgycTag4rPihyu9t9yUaY5npUtEVhIDlY98VKopUBXFnzqoAjFsaq93+z14EWCpd/Q==";
const P521 =
  "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAW/zEUck0ha9J2UItxzwfjFeRdMJFRlujc/q3D/djrO8vq0dhrgqNGrQjQOO68d4WiUlYnxyEDQlR+5CCVkiMqxQCoS428L0s5cXIISP7rSyUXjLCL8RAOdZUqHnNgmPv6b9ha99zjZ+7Sn2AsOAPPO2vfu/h/RlA9wZzI1S5nPwv9OA==";
const DSA =
  "ssh-dss AAAAB3NzaC1kc3MAAACBAIX5wFcvGNxc27pMC48SOy1oaLUMEXRYy8SlCGAO5dbclktffOBBLuPuyuO2Z0ErMFuxZXap7QAxu20ao95ggvYLFtWtewP5d4Y3XGhjAqysgokMDb4FXVEVHw6HHUq3KsHl4X2YFPFgy5Z8viWq2yKA3gSU0G2iLQm6gu44sJLzAAAAFQCouzzx3NKGS5JKtgGwBv6vwtX2yQAAAIEAg3i+9Re2z3L+oOBHZ/79rAQHDOaM450oOMNH41gUGSheLDq2jF9fEPHx6LjxQHBacjELtj5oebFEAZBPmLrvMX41vJhSGeh1DZENAWn6PNiK4H1VRQUPhvpNkHAwksQgluU6sPWlAJrd7coikqddr8RluudaETsMdhQDVapdcDAAAACAQbunPKB4Urh4uYP5FKCKwp6l542EjuwF09RiPfo1wtF3v+Hizj30AQRvKN+cx5KbN6tU681RAYA9DIVI65dGoveWYKC3ImDIDc2aSSzZQrSu9eVD0oVIWDPFvV3kSVSr8dcol/MdwTsCDyMxY4yK8cjan4KNq2FIyWhf9Ku46zU=";
const CERTIFICATE =
  "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgRq2F1bDThOH7KacdD5M0y3F/Jg6sQIANlzk3LPhXDu4AAAAIbmlzdHAyNTYAAABBBKjnagMGFpA//wnmy75Har8y5EvosBuqidB1dIgTtI7f2Jw1I7U6zdXjCT/fggx5Y26ewrUhpxJNz2sFP6Hu/54AAAAAAAAAAAAAAAEAAAACbWUAAAAIAAAABHJvb3QAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAg76rf85YWk44VFpffMWBRgpE4EHRptABLhoIz4JafSzsAAABTAAAAC3NzaC1lZDI1NTE5AAAAQALMZ1rThvaZgyc3eQYGseBIR4fa699F70+b+IvcgZLUd4MKMlmdcF39MgXydNPvgHD2O+t3hWqGCzOmhF6dSQk=";

function fieldsOf(key: string): Buffer[] {
  const bytes = Buffer.from(key.split(" ")[1]!, "base64");
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

/** A key of these fields, each as a string of RFC 4251 section 5, and `rest` behind them. */
function keyOf(type: string, fields: readonly Uint8Array[], rest = Buffer.alloc(0)): string {
  const strings = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, field];
  });
  return `${type} ${Buffer.concat([...strings, rest]).toString("base64")}`;
}

const text = (value: string) => Buffer.from(value);
const SK_ED25519 = keyOf("sk-ssh-ed25519@openssh.com", [
  text("sk-ssh-ed25519@openssh.com"),
  fieldsOf(ED25519)[1]!,
  text("ssh:"),
]);
const SK_P256 = keyOf("sk-ecdsa-sha2-nistp256@openssh.com", [
  text("sk-ecdsa-sha2-nistp256@openssh.com"),
  ...fieldsOf(P256).slice(1),
  text("ssh:"),
]);
const KEYS = [ED25519, RSA, P256, P384, P521, SK_ED25519, SK_P256];

function refusalOf(key: string): string {
  try {
    parseSshPublicKey("ssh_authorized_keys[1]", key);
  } catch (reason) {
    expect(reason).toBeInstanceOf(N0Error);
    expect(reason).toMatchObject({
      kind: "invalid_argument",
      facts: { field: "ssh_authorized_keys[1]" },
    });
    return (reason as N0Error).message;
  }
  return "accepted";
}

test("there is a key of each type, and each is a key", () => {
  expect(new Set(KEYS.map((key) => key.split(" ")[0]))).toEqual(new Set(SSH_KEY_TYPES));
  for (const key of KEYS) expect(parseSshPublicKey("key", key)).toBe(key);
});

test("tabs and several blanks are blanks, white space around is cut off, and the comment is kept", () => {
  const [type, body] = ED25519.split(" ");
  expect(parseSshPublicKey("key", `\n ${type}\t \t${body}  me@home\täö  \r\n`)).toBe(
    `${ED25519} me@home äö`,
  );
});

test("a key that is cut anywhere is refused, and so is one with bytes behind it", () => {
  for (const key of KEYS) {
    const [type = "", body = ""] = key.split(" ");
    for (let length = 0; length < body.length; length++) {
      expect(refusalOf(`${type} ${body.slice(0, length)}`)).toContain("is cut short");
    }
    const fields = fieldsOf(key);
    expect(refusalOf(keyOf(type, fields, text("x")))).toContain("has 1 bytes too many");
    expect(refusalOf(keyOf(type, [...fields, text("more")]))).toContain("has 8 bytes too many");
    expect(refusalOf(keyOf(type, fields.slice(0, -1)))).toContain("is cut short");
  }
});

/** RSA of that many bits, with `e`. */
function rsaOf(bits: number, e = [1, 0, 1]): string {
  const n = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  n[0] = 0xff >> (n.length * 8 - bits);
  const mpint = n[0] >= 0x80 ? Buffer.concat([Buffer.alloc(1), n]) : n;
  return keyOf("ssh-rsa", [text("ssh-rsa"), Buffer.from(e), mpint]);
}

const ecdsa = (curve: string, point: Uint8Array) =>
  keyOf("ecdsa-sha2-nistp256", [text("ecdsa-sha2-nistp256"), text(curve), point]);
const P256_POINT = fieldsOf(P256)[2]!;

test.for([
  ["nothing", " ", "is empty"],
  ["a type alone", "ssh-ed25519", "is cut short"],
  ["a key without its type", ED25519.split(" ")[1]!, "lacks its type"],
  ["no base64", "ssh-ed25519 !!!!", "other characters"],
  ["another type in front", ED25519.replace("ssh-ed25519", "ssh-rsa"), "is damaged"],
  ["options", `command="/bin/sh -c 'a b'",no-pty ${ED25519}`, "has options in front"],
  ["two keys on two lines", `${ED25519} me\n${P256} you`, "holds several keys"],
  ["two keys on one line", `${ED25519} me ${RSA}`, "holds several keys"],
  ["two keys with options", `no-pty ${ED25519}\nno-pty ${P256}`, "holds several keys"],
  ["a wrapped key", RSA.replace(/(.{70})/g, "$1\n"), "is broken into 6 lines"],
  ["something behind the key", `${ED25519} me\nssh_pwauth: true`, "is broken into 2 lines"],
  ["a carriage return", `${ED25519} me\rand more`, "is broken into 2 lines"],
  ["a control character", `${ED25519} me\u0000`, "holds a control character"],
  ["a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "is a private key"],
  ["a private key of PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\n", "is a private key"],
  ["PEM", "-----BEGIN PUBLIC KEY-----\nMFkw\n", "is not in OpenSSH's format"],
  ["RFC 4716", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "is not in OpenSSH's format"],
  ["a certificate", CERTIFICATE, "is a certificate"],
  ["DSA", DSA, "too old"],
  ["SSH version 1", "1024 65537 1234567890 me", "too old"],
  [
    "an unknown type",
    "ssh-ed448 AAAACXNzaC1lZDQ0OA== me",
    'is of type "ssh-ed448", which is unknown',
  ],
  ["prose", "my key", "is not an SSH public key"],
  ["RSA of 1024 bits", RSA_1024, "is an RSA key of 1024 bits, which is too short"],
  ["RSA of 2047 bits", rsaOf(2047), "is an RSA key of 2047 bits, which is too short"],
  ["RSA of 2048 bits", rsaOf(2048), "accepted"],
  ["RSA of 16384 bits", rsaOf(16_384), "accepted"],
  ["RSA of 16392 bits", rsaOf(16_392), "OpenSSH accepts 16384 at most"],
  ["an RSA exponent of 1", rsaOf(2048, [1]), "its RSA exponent is not valid"],
  ["an even RSA exponent", rsaOf(2048, [2]), "its RSA exponent is not valid"],
  ["a negative RSA exponent", rsaOf(2048, [0x81]), "its RSA exponent is not valid"],
  ["no RSA exponent", rsaOf(2048, []), "its RSA exponent is not valid"],
  ["another curve", ecdsa("nistp384", P256_POINT), 'its curve is "nistp384", not "nistp256"'],
  ["a short point", ecdsa("nistp256", P256_POINT.subarray(1)), "is not an uncompressed point"],
  ["a compressed point", ecdsa("nistp256", Buffer.alloc(33, 2)), "is not an uncompressed point"],
  ["a point elsewhere", ecdsa("nistp256", Buffer.alloc(65, 4)), "does not lie on curve P-256"],
  [
    "a short Ed25519 key",
    keyOf("ssh-ed25519", [text("ssh-ed25519"), Buffer.alloc(31, 7)]),
    "it holds 31 bytes where Ed25519 has 32",
  ],
  [
    "no application",
    keyOf("sk-ssh-ed25519@openssh.com", [
      text("sk-ssh-ed25519@openssh.com"),
      Buffer.alloc(32, 7),
      text(""),
    ]),
    "names no application",
  ],
] as const)("%s is told from a key", ([, key, said]) => {
  const refusal = refusalOf(key);
  expect(refusal).toContain(said);
  if (said !== "accepted") expect(refusal).toMatch(/^ssh_authorized_keys\[1\]: /);
});

test("whatever is accepted is one line that begins with a type and base64", () => {
  const keys = fc.constantFrom(...KEYS);
  const texts = fc.oneof(
    fc.string(),
    fc.tuple(keys, fc.string()).map(([key, comment]) => `${key} ${comment}`),
    fc.tuple(keys, fc.nat(600), fc.string({ maxLength: 2 })).map(([key, at, change]) => {
      return key.slice(0, at) + change + key.slice(at + change.length);
    }),
  );
  fc.assert(
    fc.property(texts, (given) => {
      try {
        expect(parseSshPublicKey("key", given)).toMatch(
          /^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( \P{Cc}+)?$/u,
        );
      } catch (reason) {
        if (!(reason instanceof N0Error)) throw reason;
        expect(reason.kind).toBe("invalid_argument");
      }
    }),
  );
});
