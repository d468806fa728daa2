import { NAME } from "../../../util/ref.ts";

/** Begins the escape of one byte. It is in an escaped text only for that. */
const ESCAPE = "_x";
/** Stands before a text that does not begin with a letter or digit, as a name must. */
const START = "x_x.";
const NAME_LENGTH_MAX = 63;

/**
 * The name of a user or group, for a text that a provider chose. Two texts never become one name: each byte
 * that a name may not contain is `_x` and two hexadecimal digits, as is the underscore of `_x`. So
 * `alice@corp.example` is `alice_x40corp.example`, and a text that is a name mostly stays as it is.
 *
 * @returns undefined if the text is empty, or the name would be too long.
 */
export function claimName(text: string): string | undefined {
  // Half of a surrogate pair has no bytes of its own.
  if (text === "" || text.length > NAME_LENGTH_MAX || !text.isWellFormed()) return undefined;
  const plain = /[a-zA-Z0-9.-]|_(?!x)/y;
  let name = /^[a-zA-Z0-9]/.test(text) ? "" : START;
  let index = 0;
  for (const character of text) {
    plain.lastIndex = index;
    name += plain.test(text) ? character : escaped(character);
    index += character.length;
  }
  return NAME.test(name) ? name : undefined;
}

function escaped(character: string): string {
  const bytes = [...Buffer.from(character)];
  return bytes.map((byte) => `${ESCAPE}${byte.toString(16).padStart(2, "0")}`).join("");
}
