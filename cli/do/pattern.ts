import { isPastDeadline, withDeadline } from "./deadline.ts";

const PATTERN_LENGTH_MAX = 256;
const TEXT_LENGTH_MAX = 4096;
const TIMEOUT_MS = 200;

/** A regular expression of JavaScript for a whole text; or why it is none. */
export function compilePattern(text: string): RegExp | string {
  if (text.length > PATTERN_LENGTH_MAX) return `is longer than ${PATTERN_LENGTH_MAX} characters`;
  try {
    return new RegExp(`^(?:${text})$`, "u");
  } catch {
    return "must be a regular expression";
  }
}

/** Why a text does not match. Some patterns take for ever with some texts, so the time has a limit. */
export function whyNoMatch(pattern: RegExp, text: string): string | undefined {
  const shown = pattern.source.slice(4, -2);
  if (text.length > TEXT_LENGTH_MAX) {
    return `must match ${shown}, and a pattern is for at most ${TEXT_LENGTH_MAX} characters`;
  }
  try {
    return withDeadline(TIMEOUT_MS, () => pattern.test(text)) ? undefined : `must match ${shown}`;
  } catch (reason) {
    if (!isPastDeadline(reason)) throw reason;
    return `must match ${shown}, which takes too long to try: write a simpler pattern`;
  }
}
