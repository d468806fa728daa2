import type { Findings } from "./findings.ts";
import type { TargetName } from "./target.ts";

/** A line holds what is needed to find a fault, and not the client's data. */
export const LINE_CHARACTERS_MAX = 8 << 10;

/** What no client may make a server write. */
export function judgeLine(
  findings: Findings,
  attack: string,
  name: TargetName,
  line: string,
): void {
  const entry = parsed(line);
  if (line.length > LINE_CHARACTERS_MAX) {
    const fault = `a line of the log of ${name} is longer than ${LINE_CHARACTERS_MAX} characters: ${said(entry)}`;
    findings.add({ fault, seen: `${line.length} characters: ${line.slice(0, 200)}` });
  }
  if (entry === undefined) {
    if (line.trim() === "") return;
    findings.add({
      fault: `${name} writes lines that are not a log during ${attack}`,
      seen: line.slice(0, 300),
    });
  } else if (entry["level"] === "error" || entry["level"] === "fatal") {
    const fault = `an error in the log of ${name}: ${said(entry)}`;
    findings.add({ fault, seen: `during ${attack}: ${line.slice(0, 600)}` });
  }
}

function said(entry: Readonly<Record<string, unknown>> | undefined): string {
  return `${String(entry?.["message"] ?? "no JSON")} ${String(entry?.["rpc"] ?? entry?.["path"] ?? "").slice(0, 80)}`.trim();
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
