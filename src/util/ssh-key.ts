const TYPES = new Set([
  "ssh-ed25519",
  "ssh-rsa",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ssh-ed25519@openssh.com",
  "sk-ecdsa-sha2-nistp256@openssh.com",
]);

/**
 * One OpenSSH public key: `type base64 [comment]`, without options before it. The base64 part begins with
 * the type itself, as a string of RFC 4251; that is checked, the rest of it is not.
 *
 * @returns the key in one line, or undefined for what is none.
 */
export function parseSshPublicKey(text: string): string | undefined {
  const line = text.trim();
  const match = /^(\S+) +([A-Za-z0-9+/]+={0,2})(?: +([^\p{Cc}]*))?$/u.exec(line);
  if (match === null) return undefined;
  const [, type = "", body = "", comment = ""] = match;
  const bytes = Buffer.from(body, "base64");
  if (!TYPES.has(type) || bytes.length < 4 + type.length) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length !== type.length || bytes.toString("latin1", 4, 4 + length) !== type) return undefined;
  // At least one more string follows the type in every kind of key.
  if (bytes.length < 4 + length + 4) return undefined;
  return comment === "" ? `${type} ${body}` : `${type} ${body} ${comment.trim()}`;
}
