import { EXIT } from "./exit-code.ts";

/** The client itself refuses, such as for a wrong flag or a missing file. The message says what to do instead. */
export class CliError extends Error {
  override name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.wrongUse, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
