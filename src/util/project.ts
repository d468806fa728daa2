import { quote } from "./quote.ts";

/** The header that says the project of a call. */
export const PROJECT_HEADER = "n0-project";

/** A name on a node holds the name of the project, and some of these names may hold no dot. */
const PROJECT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$/;

/** What is wrong with the name of a project, to be read after the name of the setting that holds it. */
export function wrongInProjectName(text: string): string | undefined {
  if (PROJECT_NAME.test(text)) return undefined;
  return `${quote(text)} is not the name of a project: write a letter or digit, then at most 62 letters, digits, "_" or "-"`;
}
