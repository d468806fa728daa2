import type { CliContext } from "../../context.ts";

const CTRL_C = "\u0003";

interface Choices {
  note(line: string): void;
  detach(): void;
  cancel(): Promise<void>;
}

/**
 * At an interrupt, asks on a terminal whether to detach from the transaction or to cancel it. A second interrupt
 * detaches, and so does the first one without a terminal.
 */
export function askAtInterrupt(cli: CliContext, { note, detach, cancel }: Choices): Disposable {
  const { stdin, stderr } = cli.io;
  let isAsking = false;
  let restore = () => {};
  const answered = async (key: string) => {
    if (key.toLowerCase() === "c") {
      note("---> Cancelled: the server undoes everything");
      await cancel().catch((reason: unknown) => note(`---> ${String(reason)}`));
    } else if (key.toLowerCase() === "d" || key === CTRL_C) detach();
    else note("---> The transaction goes on");
  };
  const ask = async () => {
    note("---> Press c to cancel the transaction, d to detach from it, or another key to go on");
    restore = stdin.makeRaw();
    for await (const chunk of stdin.chunks()) {
      restore();
      await answered(new TextDecoder().decode(chunk).charAt(0));
      break;
    }
  };
  const release = cli.takeInterrupts(() => {
    if (isAsking || !stdin.isTerminal || !stderr.isTerminal) return detach();
    isAsking = true;
    void ask().catch(detach);
  });
  return {
    [Symbol.dispose]() {
      restore();
      release();
    },
  };
}
