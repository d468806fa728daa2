import { EXIT } from "./exit-code.ts";

/** A refusal by the client itself: a wrong flag, a file that is not there. Says what to do instead. */
export class CliError extends Error {
  override name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.wrongUse, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
