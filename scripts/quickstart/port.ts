import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { API_ENDPOINT, API_PORT } from "./places.ts";
import { askN0cli } from "./programs.ts";
import { QuickstartError } from "./progress.ts";

/** The addresses on which a listener blocks one on 127.0.0.1. */
const IN_THE_WAY = /^(?:127\.0\.0\.1|0\.0\.0\.0|\*|\[::\]|\[::ffff:127\.0\.0\.1\]):/;

/** @throws QuickstartError that names the program on n0core's port. */
export async function mustBeFree(): Promise<void> {
  const { stdout } = await promisify(execFile)("ss", ["-Hltnp", `sport = :${API_PORT}`]);
  const holder = holderOf(stdout, readCommand);
  if (holder === undefined) return;
  const what = await versionAnswering();
  const stop = holder.pid === undefined ? "stop it" : `stop it (kill ${holder.pid})`;
  throw new QuickstartError(
    `${API_ENDPOINT} is taken by ${what ?? "another program"}: ${holder.text}; ${stop}, then run this again`,
  );
}

interface Holder {
  readonly pid: number | undefined;
  readonly text: string;
}

/** From the output of `ss -Hltnp`. */
export function holderOf(
  listeners: string,
  commandOf: (pid: number) => string,
): Holder | undefined {
  for (const line of listeners.split("\n")) {
    const [, , , local = ""] = line.split(/\s+/);
    if (!IN_THE_WAY.test(local)) continue;
    const found = /pid=(\d+)/.exec(line)?.[1];
    if (found === undefined) return { pid: undefined, text: "a process that ss does not name" };
    const pid = Number(found);
    return { pid, text: `process ${pid}, ${commandOf(pid)}` };
  }
  return undefined;
}

/** Which n0core it is, if it is one. */
async function versionAnswering(): Promise<string | undefined> {
  const { code, stdout } = await askN0cli("version", "-o", "json");
  if (code !== 0) return undefined;
  const { server, health } = JSON.parse(stdout) as { server?: string; health?: string };
  return health === undefined ? undefined : `another n0core (${server ?? "of an unknown version"})`;
}

function readCommand(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.filter((word) => word !== "" && !word.startsWith("--")).join(" ");
  } catch {
    return "which has ended";
  }
}
