import { readFile } from "node:fs/promises";
import { fromJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { InvalidArgumentError } from "commander";
import { counted } from "../../src/util/counted.ts";
import { isAbsent } from "../../src/util/errno.ts";
import { quote } from "../../src/util/quote.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { lacksProject } from "../failure.ts";
import { readAll } from "../input.ts";
import { getMethod, loadResources } from "../resource/resource.ts";
import { type Checked, checkTasks, type TaskText } from "./check.ts";
import type { WantedObject } from "./parameter-values.ts";
import { formatProblems, type Problem } from "./problems.ts";

/** The flags of a command that reads files of tasks. */
export interface ReadFlags {
  readonly set?: readonly string[];
  readonly values?: readonly string[];
  /** Does not ask the API whether the objects that parameters name exist. */
  readonly check?: true;
}

/** Reads and checks files of tasks, as one graph. @throws CliError if there are problems, after it has said them. */
export async function readChecked(
  cli: CliContext,
  files: readonly string[],
  flags: ReadFlags,
): Promise<CheckedTexts> {
  return await checkTexts(cli, await readTexts(cli, files), flags);
}

export interface CheckedTexts extends Checked {
  readonly texts: readonly TaskText[];
}

/** The same for texts that are no files. */
export async function checkTexts(
  cli: CliContext,
  texts: readonly TaskText[],
  { set = [], values = [], check }: ReadFlags,
): Promise<CheckedTexts> {
  const files = texts.map(({ file }) => file);
  const given = { values: await readValues(values), set };
  const checked = checkTasks(texts, await loadResources(cli.kinds), given);
  refuse(cli, checked.problems, files);
  if (check !== true) refuse(cli, await findMissing(cli, checked.objects), files);
  return { ...checked, texts };
}

/** @throws CliError if there are problems, after it has said them. */
function refuse(cli: CliContext, problems: readonly Problem[], files: readonly string[]): void {
  if (problems.length === 0) return;
  for (const text of formatProblems(problems, files)) cli.say(text);
  throw new CliError(`${counted(problems.length, "problem")}. Nothing was run.`);
}

/** The objects that parameters name and the API does not have. */
async function findMissing(
  cli: CliContext,
  objects: readonly WantedObject[],
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const { parameter, resource, name, place, isSecret } of objects) {
    const method = getMethod(resource);
    try {
      await callUnary(cli, method, fromJson(method.input, { name }));
    } catch (reason) {
      if (!(reason instanceof ConnectError)) throw reason;
      const isNoName = reason.code === Code.NotFound || reason.code === Code.InvalidArgument;
      if (!isNoName || lacksProject(reason, await cli.connection())) throw reason;
      const shown = isSecret ? "" : ` ${quote(name)}`;
      const message = `parameter "${parameter}": ${resource.name}${shown} does not exist`;
      problems.push({ ...place, message });
    }
  }
  return problems;
}

/** For a flag that can be repeated. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,5}$/.test(text) || count < 1) throw new InvalidArgumentError("a number from 1 up");
  return count;
}

async function readTexts(cli: CliContext, files: readonly string[]): Promise<readonly TaskText[]> {
  const repeated = files.find((file, i) => files.indexOf(file) !== i);
  if (repeated !== undefined) throw new CliError(`${repeated} is named twice`);
  const texts: TaskText[] = [];
  for (const file of files) {
    const text = file === "-" ? await readAll(cli.io.stdin) : await readTaskFile(file);
    texts.push({ file, text });
  }
  return texts;
}

async function readValues(files: readonly string[]): Promise<readonly TaskText[]> {
  return await Promise.all(files.map(async (file) => ({ file, text: await readTaskFile(file) })));
}

async function readTaskFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (reason) {
    throw new CliError(
      isAbsent(reason) ? `${file} does not exist` : `cannot read ${file}`,
      undefined,
      reason,
    );
  }
}
