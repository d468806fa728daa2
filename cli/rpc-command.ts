import type { DescMethodUnary } from "@bufbuild/protobuf";
import { Command } from "commander";
import { callUnary } from "./call.ts";
import type { CliContext } from "./context.ts";
import type { FlagValues } from "./convert/flags.ts";
import { fileOf, optionsOf, requestFromFlags } from "./convert/flags.ts";
import { withExamples } from "./examples.ts";
import { readText } from "./input.ts";
import { printMessage } from "./output.ts";

/** A command that makes one unary call. Its flags are the fields of the request. */
export interface RpcCommandSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly method: DescMethodUnary;
  /** Request fields that are arguments instead of flags, in order. */
  readonly args?: readonly string[];
  /** Request fields that the command itself sets. */
  readonly fixed?: Readonly<Record<string, string | boolean>>;
  /** Request fields whose flags name a file: the value is long, or a secret that no history of a shell should have. */
  readonly files?: readonly string[];
  readonly summary: string;
  /** Each without the program's name. */
  readonly examples: readonly string[];
}

export function rpcCommand(cli: CliContext, spec: RpcCommandSpec): Command {
  const args = spec.args ?? ["name"];
  const { input, output } = spec.method;
  const command = new Command(spec.name).description(spec.summary).aliases(spec.aliases ?? []);
  for (const arg of args) command.argument(`<${arg}>`);
  for (const field of input.fields) {
    if (args.includes(field.name) || spec.fixed?.[field.name] !== undefined) continue;
    const isFile = spec.files?.includes(field.name);
    for (const option of optionsOf(field, isFile)) command.addOption(option);
  }
  withExamples(command, spec.examples);
  return command.action(async () => {
    const given = Object.fromEntries(args.map((arg, i) => [arg, command.args[i] ?? ""]));
    const flags = command.opts<FlagValues>();
    const read = await readFiles(cli, spec, flags);
    const request = requestFromFlags(input, flags, { ...given, ...spec.fixed, ...read });
    const answer = await callUnary(cli, spec.method, request);
    await printMessage(cli, output, answer);
    if (output.fields.length === 0) {
      cli.say(`${command.parent?.name() ?? ""} ${command.args[0] ?? ""}: ${spec.name} done`);
    }
  });
}

/** The values of the flags that name files, by field. */
async function readFiles(
  cli: CliContext,
  { method, files = [] }: RpcCommandSpec,
  flags: FlagValues,
): Promise<Record<string, string>> {
  const read: Record<string, string> = {};
  for (const field of method.input.fields) {
    const path = files.includes(field.name) ? fileOf(field, flags) : undefined;
    if (path !== undefined)
      read[field.name] = await readText(`--${field.name}`, path, cli.io.stdin);
  }
  return read;
}

/** A group of commands, such as `n0cli network …`. */
export function groupCommand(
  names: readonly [string, ...string[]],
  summary: string,
  commands: readonly Command[],
  examples: readonly string[] = [],
): Command {
  const [name, ...aliases] = names;
  const group = new Command(name).aliases(aliases).description(summary);
  for (const command of commands) group.addCommand(command);
  addSynonyms(group);
  return examples.length === 0 ? group : withExamples(group, examples);
}

/** The words of other tools for the same. A command that has such a name keeps it. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  get: ["list", "ls"],
  list: ["ls"],
  delete: ["rm"],
  boot: ["start"],
  shutdown: ["stop"],
};

function addSynonyms(group: Command): void {
  const taken = new Set(group.commands.flatMap((c) => [c.name(), ...c.aliases()]));
  for (const command of group.commands) {
    for (const synonym of SYNONYMS[command.name()] ?? []) {
      if (!taken.has(synonym)) command.alias(synonym);
    }
  }
}
