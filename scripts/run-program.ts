import process from "node:process";

const EXIT_USAGE = 2;

/**
 * A failure that the user can repair. It is shown in one line, without a stack. Without a message, it has been
 * reported already.
 */
export class Failure extends Error {
  readonly exitCode: number;

  constructor(message = "", { exitCode = 1 }: { readonly exitCode?: number } = {}) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** For a wrong argument. */
export function wrongUse(message: string): Failure {
  return new Failure(message, { exitCode: EXIT_USAGE });
}

/**
 * Runs the program `npm run <name>`, whose `main` returns its exit code. Reports a failure, wrong use or a
 * refusal of the system in one line. Any other error is a bug of ours and keeps its stack.
 */
export async function runProgram(name: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const failure = asFailure(error);
    if (failure === undefined) throw error;
    if (failure.message !== "") console.error(`${name}: ${failure.message}`);
    process.exitCode = failure.exitCode;
  }
}

function asFailure(error: unknown): Failure | undefined {
  if (error instanceof Failure) return error;
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  // From util.parseArgs. The text after its first sentence is for programmers.
  if (String(error.code).startsWith("ERR_PARSE_ARGS_")) {
    const [what] = error.message.split(". ");
    return wrongUse(what ?? error.message);
  }
  return "syscall" in error ? new Failure(error.message) : undefined;
}
