import { createHash } from "node:crypto";
import { open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type PlanTasksResponse,
  PlanTasksResponseSchema,
  TaskSchema,
  type Task as WireTask,
} from "../../../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { ifThere } from "../../../src/util/errno.ts";
import type { Random } from "../../../src/util/random.ts";
import { syncFolder } from "../../commands/local-files.ts";
import { CliError } from "../../errors.ts";
import { messageToJson } from "../../output.ts";
import type { Output } from "../outputs.ts";

/** What `--plan-out` keeps, so that `--apply` runs exactly that. See docs/adr/0075. */
export interface Plan {
  /** The API that made it. */
  readonly api: string;
  readonly project: string;
  /** With the values of all parameters. */
  readonly tasks: readonly WireTask[];
  readonly outputs: readonly Output[];
  readonly planned: PlanTasksResponse;
}

const VERSION = 1;
const BYTES_MAX = 64 << 20;
/** How a plan file begins, so that no other file is overwritten. */
const BEGINNING = /^\{\s*"n0stack_plan":/;
const BEGINNING_BYTES = 64;
/** It may hold secrets. */
const MODE = 0o600;

interface Body {
  readonly api: string;
  readonly project: string;
  readonly tasks: readonly JsonValue[];
  readonly outputs: readonly Output[];
  readonly planned: JsonValue;
}

/** @throws CliError if the path has anything but a plan, or cannot have one. */
export async function throwUnlessForPlan(path: string): Promise<void> {
  if (path === "-") throw new CliError("--plan-out takes the name of a file: -o json prints it");
  const there = await ifThere(stat(path)).catch((reason: unknown) => {
    throw new CliError(`--plan-out: cannot write ${path}`, undefined, reason);
  });
  if (there === undefined || (there.isFile() && (await beginsAsPlan(path)))) return;
  throw new CliError(`--plan-out: ${path} exists and is not a plan: choose another name`);
}

async function beginsAsPlan(path: string): Promise<boolean> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING_BYTES));
    return BEGINNING.test(buffer.toString("utf8", 0, bytesRead));
  } catch (reason) {
    throw new CliError(`--plan-out: cannot read ${path}`, undefined, reason);
  }
}

/** Writes it whole or not at all, for its owner alone. */
export async function writePlan(
  path: string,
  plan: Plan,
  random: Pick<Random, "uuid">,
): Promise<void> {
  const body: Body = {
    ...plan,
    tasks: plan.tasks.map((task) => messageToJson(TaskSchema, task)),
    planned: messageToJson(PlanTasksResponseSchema, plan.planned),
  };
  const file = { n0stack_plan: VERSION, checksum: checksumOf(body), plan: body };
  const text = `${JSON.stringify(file, null, 1)}\n`;
  if (Buffer.byteLength(text) > BYTES_MAX) throw new CliError("the plan is larger than 64 MiB");
  try {
    // A link stays, and what it names is replaced.
    await replace((await ifThere(realpath(path))) ?? path, text, random.uuid());
  } catch (reason) {
    throw new CliError(`--plan-out: cannot write ${path}`, undefined, reason);
  }
}

async function replace(path: string, text: string, id: string): Promise<void> {
  const partial = join(dirname(path), `.${basename(path)}.${id}.partial`);
  try {
    await using file = await open(partial, "wx", MODE);
    await file.writeFile(text);
    await file.sync();
    await rename(partial, path);
  } catch (reason) {
    await rm(partial, { force: true });
    throw reason;
  }
  await syncFolder(path);
}

/** @throws CliError that says why it is not a plan that can run. */
export async function readPlan(path: string): Promise<Plan> {
  const { version, isAsMade, plan } = parsed(path, await textOf(path));
  if (version !== VERSION) {
    const found = typeof version === "number" ? `of version ${version}` : "of no known version";
    throw new CliError(`${path} is a plan ${found}, not of version ${VERSION}: make it again`);
  }
  if (plan === undefined || !isAsMade) {
    throw new CliError(`${path} was changed after it was made: make the plan again`);
  }
  try {
    return {
      ...plan,
      tasks: plan.tasks.map((task) => fromJson(TaskSchema, task)),
      planned: fromJson(PlanTasksResponseSchema, plan.planned),
    };
  } catch (reason) {
    const message = `${path} was made by another version of n0cli: make the plan again`;
    throw new CliError(message, undefined, reason);
  }
}

async function textOf(path: string): Promise<string> {
  const there = await ifThere(stat(path));
  if (there === undefined) throw new CliError(`${path} does not exist`);
  if (there.size > BYTES_MAX) throw new CliError(`${path} is not a plan: it is larger than 64 MiB`);
  return await readFile(path, "utf8").catch((reason: unknown) => {
    throw new CliError(`cannot read ${path}`, undefined, reason);
  });
}

interface Parsed {
  readonly version: unknown;
  readonly isAsMade: boolean;
  readonly plan: Body | undefined;
}

/** What the file may have. */
interface Written {
  readonly n0stack_plan?: unknown;
  readonly checksum?: unknown;
  readonly plan?: Body;
}

function parsed(path: string, text: string): Parsed {
  if (BEGINNING.test(text)) {
    try {
      const { n0stack_plan: version, checksum, plan }: Written = JSON.parse(text);
      return { version, isAsMade: plan !== undefined && checksum === checksumOf(plan), plan };
    } catch (reason) {
      throw new CliError(`${path} is not a whole plan: make it again`, undefined, reason);
    }
  }
  throw new CliError(`${path} is not a plan: n0cli do --plan-out makes one`);
}

/** Of the content, however it is indented. */
function checksumOf(plan: unknown): string {
  return `sha256:${createHash("sha256").update(JSON.stringify(plan)).digest("hex")}`;
}
