import { invalid } from "./errors.ts";
import { faultOfKeyBlob, SSH_KEY_TYPES } from "./ssh-key-blob.ts";

const EXAMPLE = "one line such as: ssh-ed25519 AAAA… me@home";
/** The base64 part of every key begins so, because the length of the type's name is below 256. */
const KEY_START = "AAAA";
const BLANKS = /[ \t]+/;

/**
 * Parses one OpenSSH public key, `type base64 [comment]` separated by blanks or tabs, as `ssh-keygen` writes it
 * into a `.pub` file. Checks the whole key by the rules of its type.
 *
 * @param field The name of the field, for the error, as the client spells it.
 * @returns the key in one line.
 * @throws N0Error `invalid_argument`. The message says what the text is instead: cut short, a private key, a
 * certificate, two keys, a key with options, too old, of an unknown type, and so on.
 */
export function parseSshPublicKey(field: string, text: string): string {
  const line = text.trim();
  const fault = faultOfText(line);
  if (fault !== undefined) throw invalid(field, fault);
  const [type = "", body = "", ...comment] = line.split(BLANKS);
  const keyFault = faultOfKey(type, body, comment.join(" "));
  if (keyFault !== undefined) throw invalid(field, keyFault);
  return [type, body, ...comment].join(" ");
}

/** The faults that can be seen before the key is decoded. */
function faultOfText(line: string): string | undefined {
  if (line === "") return `is empty: give ${EXAMPLE}`;
  if (/PRIVATE KEY-----|^PuTTY-User-Key-File/m.test(line)) {
    return "is a private key, which only its owner may see: give the public key, in the file that ends in .pub";
  }
  if (/^-{4,5} ?BEGIN /.test(line)) {
    return "is not in OpenSSH's format: `ssh-keygen -i -f FILE` (with `-m PKCS8` for PEM) prints it as one line";
  }
  const lines = line.split(/[\r\n]+/).filter((one) => one.trim() !== "");
  if (lines.length > 1) {
    return lines.filter(holdsKey).length > 1
      ? "holds several keys: give each by itself"
      : `is broken into ${lines.length} lines: give ${EXAMPLE}`;
  }
  if (/[^\P{Cc}\t]/u.test(line)) return `holds a control character: give ${EXAMPLE}`;
  return undefined;
}

function faultOfKey(type: string, body: string, comment: string): string | undefined {
  if (/-cert-v\d+@openssh\.com$/.test(type)) {
    return "is a certificate: give the key that it certifies, in the .pub file without -cert in its name";
  }
  if (type === "ssh-dss")
    return "is a DSA key, which is too old: `ssh-keygen -t ed25519` makes one";
  if (/^\d+$/.test(type) && /^\d+$/.test(body)) {
    return "is a key of SSH version 1, which is too old: `ssh-keygen -t ed25519` makes one";
  }
  if (!SSH_KEY_TYPES.includes(type)) return faultOfStranger(type, body, comment);
  if (holdsKey(comment)) return "holds several keys: give each by itself";
  if (body === "") return "is cut short: the base64 part after the type is missing";
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body)) {
    return `has a base64 part that holds other characters: give ${EXAMPLE}`;
  }
  const bytes = Buffer.from(body, "base64");
  const fault = faultOfKeyBlob(type, bytes);
  if (fault !== undefined) return fault;
  // The padding is missing, or bits follow the last byte.
  if (bytes.toString("base64") === body) return undefined;
  return "is cut short: the end of its base64 part is missing";
}

function faultOfStranger(type: string, body: string, comment: string): string {
  if (type.startsWith(KEY_START)) return `lacks its type: give ${EXAMPLE}`;
  if (holdsKey(`${body} ${comment}`)) {
    return "has options in front of the key: remove them, only the key itself is accepted";
  }
  if (body.startsWith(KEY_START)) {
    return `is of type "${type.slice(0, 64)}", which is unknown: use ${SSH_KEY_TYPES.join(", ")}`;
  }
  return `is not an SSH public key: give ${EXAMPLE}`;
}

/** Whether the text contains a key: a type, then the beginning of a base64 part. */
function holdsKey(text: string): boolean {
  const words = text.split(BLANKS);
  return words.some(
    (word, i) =>
      (SSH_KEY_TYPES.includes(word) || /^ssh-dss$|-cert-v\d+@openssh\.com$/.test(word)) &&
      words[i + 1]?.startsWith(KEY_START) === true,
  );
}
