import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { until } from "../../src/util/until.ts";
import { KEY_FILE, PROJECT } from "./places.ts";
import { askN0cli, must } from "./programs.ts";
import { QuickstartError } from "./progress.ts";

export const VIRTUAL_MACHINE = "example-vm";

/** The objects that examples/boot-vm.yaml makes: the type and name of each. */
const OBJECTS = [
  ["vm", VIRTUAL_MACHINE],
  ["bs", "example-vm"],
  ["bs", "tiny"],
  ["image", "tiny"],
  ["network", "example-net"],
] as const;

const KINDS = ["vm", "bs", "image", "network", "user"] as const;
/** Under emulation on a busy host. 10 s are usual. */
const SSH_TIMEOUT_MS = 120_000;

/** The objects in the cloud, such as `vm/example-vm`. */
export async function listObjects(): Promise<ReadonlySet<string>> {
  const lists = await Promise.all(
    KINDS.map(async (kind) => {
      const { code, stdout, stderr } = await askN0cli("get", kind, "-o", "json");
      if (code !== 0) throw new QuickstartError(`n0cli get ${kind}: ${stderr.trim()}`);
      const [items = []] = Object.values(JSON.parse(stdout) as Record<string, unknown>);
      return (items as readonly { name: string }[]).map(({ name }) => `${kind}/${name}`);
    }),
  );
  return new Set(lists.flat());
}

/** The objects of the example among these. */
export function ofExample(objects: ReadonlySet<string>): readonly string[] {
  return OBJECTS.map(([kind, name]) => `${kind}/${name}`).filter((object) => objects.has(object));
}

/** `RUNNING`, `SHUTDOWN`, …; empty if there is none. */
export async function readState(): Promise<string> {
  const { code, stdout } = await askN0cli("get", "vm", VIRTUAL_MACHINE, "-o", "json");
  if (code !== 0) return "";
  return (JSON.parse(stdout) as { state?: string }).state ?? "";
}

/** Removes the example by its file, or the rest of it if some of it is gone already. */
export async function removeExample(objects: ReadonlySet<string>): Promise<void> {
  const present = ofExample(objects);
  if (present.length === OBJECTS.length) {
    await must("bin/n0cli", ["do", "examples/delete-vm.yaml"]);
  } else if (present.length > 0) {
    const text = readFileSync(join(PROJECT, "examples/delete-vm.yaml"), "utf8");
    const tasks = Object.entries(parse(text) as Record<string, object>);
    const tolerant = tasks.map(([name, task]) => [name, { ...task, ignore_error: true }]);
    await must("bin/n0cli", ["do", "-"], { input: stringify(Object.fromEntries(tolerant)) });
  }
  const left = ofExample(await listObjects());
  if (left.length > 0) throw new QuickstartError(`not removed: ${left.join(", ")}; see above`);
}

/** Returns the guest's own words. Until it answers, it boots, which is not a failure. */
export async function waitForSsh(): Promise<string> {
  const words = ["vm", "ssh", VIRTUAL_MACHINE, "-i", KEY_FILE, "--", "uname", "-a"];
  let last = "";
  let answer = "";
  const answers = async () => {
    const { code, stdout, stderr } = await askN0cli(...words);
    last = stderr.trim();
    answer = stdout.trim();
    return code === 0;
  };
  await until(answers, {
    timeoutMs: SSH_TIMEOUT_MS,
    onTimeout: () => new QuickstartError(`${VIRTUAL_MACHINE} does not answer on SSH: ${last}`),
  });
  return answer;
}
