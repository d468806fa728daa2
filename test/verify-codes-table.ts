import { CODES } from "./verify-codes.ts";

/** The lines of the table in docs/operating/verify.md. */
export function codesTable(): string[] {
  const rows = Object.entries(CODES).map(
    ([code, { severity, means, repair = "", byHand = "" }]) => {
      return `| \`${code}\` | ${severity} | ${means} | ${repair} | ${byHand} |`;
    },
  );
  return [
    "| code | severity | what it means | what `--repair` does | what is for you to do |",
    "|---|---|---|---|---|",
    ...rows,
  ];
}
