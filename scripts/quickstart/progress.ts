import { styleText } from "node:util";
import { Failure } from "../run-program.ts";

const STILL_AT_IT_MS = 10_000;
const startedMs = performance.now();

/** A failure after which the user can run the quickstart again to continue. */
export class QuickstartError extends Failure {}

/** Seconds since the start. */
export function elapsedSeconds(): number {
  return (performance.now() - startedMs) / 1000;
}

/** Prints one line, with the time since the start before it. */
export function say(text: string): void {
  const seconds = `${elapsedSeconds().toFixed(0).padStart(4)} s`;
  console.log(`${styleText("dim", seconds)}  ${text}`);
}

/** Prints one line about a thing that differs from what this checkout would make, and what to do. */
export function sayNote(text: string): void {
  say(`  ${styleText("yellow", "note:")} ${text}`);
}

/** Does one part and prints a line. For a long one, prints later that it still runs. */
export async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  say(styleText("bold", title));
  const stepStartedMs = performance.now();
  const still = setInterval(() => {
    const seconds = ((performance.now() - stepStartedMs) / 1000).toFixed(0);
    say(`  … still running, ${seconds} s`);
  }, STILL_AT_IT_MS);
  try {
    return await work();
  } finally {
    clearInterval(still);
  }
}
