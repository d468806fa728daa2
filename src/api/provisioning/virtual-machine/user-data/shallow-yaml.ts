import { Lexer } from "yaml";

/** Of brackets in each other. */
const BRACKETS_MAX = 32;
/** Of `-`, `?` and `:` in one line, outside of brackets. */
const INDICATORS_MAX = 16;
/** Where a line may begin that is not a part of a text. */
const COLUMN_MAX = 200;
/** What the lexer adds to the text. */
const CONTROL: readonly string[] = ["\u0002", "\u0018", "\u001f", "\ufeff"];

/**
 * Whether no value of a YAML text is too deep for the parser, which calls itself for each level. With too many it can
 * end the whole process. This calls nothing twice, and never refuses what people write.
 */
export function isShallowYaml(text: string): boolean {
  let brackets = 0;
  let indicators = 0;
  let isAtStart = true;
  for (const token of new Lexer().lex(text)) {
    if (CONTROL.includes(token)) continue;
    if (token.includes("\n")) {
      [indicators, isAtStart] = [0, true];
      continue;
    }
    if (token === "[" || token === "{") brackets += 1;
    else if (token === "]" || token === "}") brackets -= 1;
    else if (brackets === 0 && /^[-?:]$/.test(token)) indicators += 1;
    else if (isAtStart && /^\s+$/.test(token) && token.length > COLUMN_MAX) return false;
    if (brackets > BRACKETS_MAX || indicators > INDICATORS_MAX) return false;
    isAtStart = false;
  }
  return true;
}
