import { createPublicKey } from "node:crypto";

/** OpenSSH accepts 1024 bits and more; some distributions of it accept no fewer than this. */
const RSA_BITS_MIN = 2048;
/** OpenSSH accepts no longer keys. */
const RSA_BITS_MAX = 16_384;
const ED25519_BYTES = 32;

/** Checks one field of a key. @returns what is wrong with it; undefined if nothing is. */
type Check = (field: Buffer) => string | undefined;

const CUT = "is cut short: copy the whole line of the .pub file";

/**
 * The fields after the name of the type, for each type of key. Each field is a string of RFC 4251 section 5:
 * RFC 4253 section 6.6 (RSA), RFC 5656 section 3.1 (ECDSA), RFC 8709 section 4 (Ed25519) and OpenSSH's
 * PROTOCOL.u2f (keys of hardware tokens, which begin with `sk-`).
 */
const FIELDS: ReadonlyMap<string, readonly Check[]> = new Map([
  ["ssh-ed25519", [ed25519]],
  ["ssh-rsa", [exponent, modulus]],
  ["ecdsa-sha2-nistp256", [curve("nistp256"), point("P-256", 32)]],
  ["ecdsa-sha2-nistp384", [curve("nistp384"), point("P-384", 48)]],
  ["ecdsa-sha2-nistp521", [curve("nistp521"), point("P-521", 66)]],
  ["sk-ssh-ed25519@openssh.com", [ed25519, application]],
  ["sk-ecdsa-sha2-nistp256@openssh.com", [curve("nistp256"), point("P-256", 32), application]],
]);

export const SSH_KEY_TYPES: readonly string[] = [...FIELDS.keys()];

/**
 * Checks all bytes of a key of `type`, one of `SSH_KEY_TYPES`.
 *
 * @returns what is wrong with them, to be put after the name of the field; undefined if nothing is.
 */
export function faultOfKeyBlob(type: string, bytes: Buffer): string | undefined {
  let at = 0;
  for (const check of [named(type), ...FIELDS.get(type)!]) {
    if (at + 4 > bytes.length) return CUT;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return CUT;
    const fault = check(bytes.subarray(at + 4, end));
    if (fault !== undefined) return fault;
    at = end;
  }
  if (at < bytes.length) {
    return `has ${bytes.length - at} bytes too many in its base64 part: copy the line of the .pub file again`;
  }
  return undefined;
}

function damaged(what: string): string {
  return `is damaged (${what}): copy the line of the .pub file again`;
}

function named(type: string): Check {
  return (field) => {
    const name = field.toString("latin1");
    return name === type ? undefined : damaged(`it says "${type}" and holds "${printable(name)}"`);
  };
}

function printable(text: string): string {
  return text.replace(/[^!-~]/g, "?").slice(0, 64);
}

function ed25519(field: Buffer): string | undefined {
  if (field.length === ED25519_BYTES) return undefined;
  return damaged(`it holds ${field.length} bytes where Ed25519 has ${ED25519_BYTES}`);
}

/** The number that an mpint stands for, without leading zeros; undefined for a negative one. */
function magnitude(field: Buffer): Buffer | undefined {
  if (field.length > 0 && field[0]! >= 0x80) return undefined;
  const first = field.findIndex((byte) => byte !== 0);
  return field.subarray(first === -1 ? field.length : first);
}

function isOdd(number: Buffer): boolean {
  return ((number.at(-1) ?? 0) & 1) === 1;
}

/** An odd number above 1 (RFC 8017 section 3.1). */
function exponent(field: Buffer): string | undefined {
  const number = magnitude(field);
  const isOne = number?.length === 1 && number[0] === 1;
  if (number !== undefined && isOdd(number) && !isOne) return undefined;
  return damaged("its RSA exponent is not valid");
}

function modulus(field: Buffer): string | undefined {
  const number = magnitude(field);
  if (number === undefined || !isOdd(number)) return damaged("its RSA modulus is not valid");
  const bits = number.length * 8 - Math.clz32(number[0]!) + 24;
  if (bits < RSA_BITS_MIN) {
    return `is an RSA key of ${bits} bits, which is too short: make one of ${RSA_BITS_MIN} bits or more, or \`ssh-keygen -t ed25519\``;
  }
  if (bits <= RSA_BITS_MAX) return undefined;
  return `is an RSA key of ${bits} bits, and OpenSSH accepts ${RSA_BITS_MAX} at most: make a shorter one`;
}

function curve(name: string): Check {
  return (field) => {
    const found = field.toString("latin1");
    return found === name
      ? undefined
      : damaged(`its curve is "${printable(found)}", not "${name}"`);
  };
}

/** An uncompressed point (SEC 1 section 2.3.3) on the curve. OpenSSH accepts no compressed one. */
function point(crv: string, bytes: number): Check {
  return (field) => {
    if (field.length !== 1 + 2 * bytes || field[0] !== 4) {
      return damaged(`its point is not an uncompressed point of curve ${crv}`);
    }
    const x = field.toString("base64url", 1, 1 + bytes);
    const y = field.toString("base64url", 1 + bytes);
    try {
      createPublicKey({ key: { kty: "EC", crv, x, y }, format: "jwk" });
      return undefined;
    } catch {
      return damaged(`its point does not lie on curve ${crv}`);
    }
  };
}

/** `ssh:`, or what the user chose. */
function application(field: Buffer): string | undefined {
  return field.length === 0 ? damaged("it names no application") : undefined;
}
