import { createHash } from "node:crypto";

/**
 * cloud-init merges the parts in their order. Ours is the last, and adds to what the user's part says: of a key in
 * both, the user's value stays, and lists become one, with ours in front. So a user who names our login user too
 * decides about it. https://docs.cloud-init.io/en/latest/reference/merging.html
 */
const ADDS = "list(prepend)+dict(no_replace,recurse_list)+str()";
const TEXT = 'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: base64\n';
const OURS = `Content-Type: text/cloud-config; charset="utf-8"\nContent-Transfer-Encoding: base64\nMerge-Type: ${ADDS}\n`;
const HEAD =
  /^Content-Type: multipart\/mixed; boundary="(n0stack-[0-9a-f]{32})"\nMIME-Version: 1.0\n\n/;
const LINE_CHARACTERS = 76;

/** The two parts of our multipart. */
export interface MergedParts {
  /** As the user wrote it. */
  readonly theirs: string;
  readonly ours: string;
}

/** Whether user data is a MIME multipart. Other kinds are known by their first line. */
export function isMultipart(userData: string): boolean {
  return /^(content-type|mime-version):/i.test(userData);
}

/**
 * One MIME multipart of both. A multipart of the user is a part as it is. Everything else is the body of a part
 * without a type, and cloud-init knows it by its first line, as it does without us. That body is in base64, because
 * cloud-init damages characters outside of ASCII in any other.
 */
export function mergedUserData({ theirs, ours }: MergedParts): string {
  // Nobody can write a text with its own hash in it, so no line of it is this boundary.
  const boundary = `n0stack-${sha256(`${theirs}\0${ours}`).slice(0, 32)}`;
  const part = isMultipart(theirs) ? theirs : `${TEXT}\n${base64(theirs)}`;
  return [
    `Content-Type: multipart/mixed; boundary="${boundary}"\nMIME-Version: 1.0\n`,
    `--${boundary}\n${part}`,
    `--${boundary}\n${OURS}\n${base64(ours)}`,
    `--${boundary}--\n`,
  ].join("\n");
}

/** The parts of what `mergedUserData` made; undefined for anything else. */
export function partsOfUserData(merged: string): MergedParts | undefined {
  const boundary = HEAD.exec(merged)?.[1];
  if (boundary === undefined) return undefined;
  const [, first, second, end] = merged.split(`\n--${boundary}`);
  if (first === undefined || second === undefined || end !== "--\n") return undefined;
  const part = first.slice(1);
  return {
    theirs: part.startsWith(`${TEXT}\n`) ? decoded(part) : part,
    ours: decoded(second.slice(1)),
  };
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function base64(text: string): string {
  const lines = Buffer.from(text)
    .toString("base64")
    .match(new RegExp(`.{1,${LINE_CHARACTERS}}`, "g"));
  return (lines ?? []).join("\n");
}

function decoded(part: string): string {
  return Buffer.from(part.slice(part.indexOf("\n\n") + 2), "base64").toString("utf8");
}
