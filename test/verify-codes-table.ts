import { ALL_CODES, CODES, type CodeFacts } from "../src/api/observe/verify/codes.ts";

/** The lines of the table in docs/operating/verify.md. */
export function codesTable(): string[] {
  const rows = ALL_CODES.map((code) => {
    const { severity, means, repair = "", byHand = "" }: CodeFacts = CODES[code];
    return `| \`${code}\` | ${severity} | ${means} | ${repair} | ${byHand} |`;
  });
  return [
    "| code | severity | what it means | what `--repair` does | what is for you to do |",
    "|---|---|---|---|---|",
    ...rows,
  ];
}
