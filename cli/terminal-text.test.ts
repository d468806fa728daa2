import { describe, expect, test } from "vitest";
import { printable, printableLines, TerminalFilter } from "./terminal-text.ts";

test("what drives a terminal is replaced in a cell and in lines", () => {
  expect(printable("a\x1b[2Jb\nc\td")).toBe("a\ufffd[2Jb c d");
  expect(printableLines("a\x1b]0;x\x07b\r\nc\td\rE\n")).toBe("a\ufffd]0;x\ufffdb\r\nc\td\ufffdE\n");
  expect(printable("\u009b2J \u202etxt.exe")).toBe("\ufffd2J \ufffdtxt.exe");
});

function filtered(text: string, cutAt: readonly number[] = []): string {
  const filter = new TerminalFilter();
  const bytes = Buffer.from(text);
  const ends = [...cutAt, bytes.length];
  const starts = [0, ...cutAt];
  const chunks = starts.map((start, i) => filter.filter(bytes.subarray(start, ends[i])));
  return Buffer.concat(chunks).toString();
}

describe("what a guest writes, on a terminal", () => {
  test.each([
    ["text in any language stays", "Grüße, 世界\n", "Grüße, 世界\n"],
    ["ends of lines and tabs stay", "a\r\nb\tc\n", "a\nb\tc\n"],
    ["colors go", "\x1b[1;32m OK \x1b[0m started\n", " OK  started\n"],
    ["moves and erasure go", "a\x1b[2J\x1b[Hb\x1b[?25lc", "abc"],
    ["a title goes, however it ends", "\x1b]0;title\x07a\x1b]2;title\x1b\\b", "ab"],
    ["a clipboard is not written", "\x1b]52;c;ZWNobyBoaQ==\x07x", "x"],
    [
      "a question to the terminal goes, whose answer would be typed",
      '\x1bP$q"p\x1b\\a\x1b[6nb\x05c',
      "abc",
    ],
    ["sequences of one character and of a character set go", "\x1bc\x1b(Ba\x1b=b", "ab"],
    ["8-bit sequences go", "\u009b31ma\u009d0;t\u009cb", "ab"],
    ["a single carriage return and backspaces go", "good\rbad\b\b", "goodbad"],
    ["an unended title takes no more than its line", "\x1b]0;title\nnext\n", "\nnext\n"],
    [
      "an unended sequence takes no more than 256 characters",
      `\x1b]${"x".repeat(300)}y`,
      `${"x".repeat(44)}y`,
    ],
    ["letters that turn the direction go", "a\u202eb", "ab"],
  ])("%s", (_, text, expected) => {
    expect(filtered(text)).toBe(expected);
  });

  test("it is the same wherever it is cut", () => {
    const text = "ü\x1b[1;32mé\x1b]0;t\x1b\\世\u009b1mx\r\n";
    const { length } = Buffer.from(text);
    for (let i = 0; i <= length; i += 1) expect(filtered(text, [i])).toBe(filtered(text));
  });
});
