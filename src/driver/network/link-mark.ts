import { defined } from "../../util/defined.ts";
import { N0Error } from "../../util/errors.ts";
import type { Mark } from "../mark.ts";

/** Linux refuses a longer `ifalias` (IFALIASZ is 256, with the terminating zero). */
const ALIAS_BYTES_MAX = 255;
const PREFIX_RULE = /^[a-z0-9][a-z0-9-]{0,30}$/;
/** No `:`, which is the separator, and nothing that `ip -batch` or nft would read as anything but a word. */
const OWNER_RULE = /^[a-zA-Z0-9][a-zA-Z0-9._/-]*$/;
const TRANSACTION_RULE = /^[a-zA-Z0-9._-]*$/;

/** The text in `ifalias` and the nft comment: `n0stack:<prefix>:<owner>:<transactionId>[:<state>]`. */
export interface LinkMark extends Mark {
  /** How far the maker of the thing came, if that matters. */
  readonly state?: string;
}

export function checkPrefix(prefix: string): void {
  if (!PREFIX_RULE.test(prefix)) {
    throw new N0Error(
      "invalid_argument",
      `the network prefix "${prefix}" must match ${PREFIX_RULE}`,
    );
  }
}

/**
 * @throws N0Error `invalid_argument` if the mark does not fit, or could not be read back.
 */
export function formatLinkMark(prefix: string, mark: LinkMark): string {
  const fields = ["n0stack", prefix, mark.owner, mark.transactionId];
  const text = (mark.state === undefined ? fields : [...fields, mark.state]).join(":");
  if (
    !OWNER_RULE.test(mark.owner) ||
    !TRANSACTION_RULE.test(mark.transactionId) ||
    text.length > ALIAS_BYTES_MAX
  ) {
    throw new N0Error(
      "invalid_argument",
      `the mark of a network device must be words of at most ${ALIAS_BYTES_MAX} bytes in all`,
      { cause: new Error(text) },
    );
  }
  return text;
}

/** Undefined if the text is not a mark of the instance with this prefix. */
export function parseLinkMark(prefix: string, text: string | undefined): LinkMark | undefined {
  const [head, ours, owner, transactionId, state, ...rest] = text?.split(":") ?? [];
  if (head !== "n0stack" || ours !== prefix || rest.length > 0) return undefined;
  if (owner === undefined || owner === "" || transactionId === undefined) return undefined;
  return { owner, transactionId, ...defined({ state }) };
}
