import { readFileSync } from "node:fs";

/** The commands in the shell blocks of a document, as words without `n0cli`. */
export function commandsIn(path: string): string[][] {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) => block);
  const lines = blocks.flatMap((block) => block.trim().split("\n"));
  return lines.map((line) => wordsOf(line).slice(1));
}

/** The words of a line of the shell. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}
