import { resolve } from "node:path";
import { Command } from "commander";
import { defined } from "../../src/util/defined.ts";
import { quote } from "../../src/util/quote.ts";
import { configPath, readConfig, writeConfig } from "../config-file.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { formatValue } from "../output.ts";
import { groupCommand } from "../rpc-command.ts";
import type { NamedConnection } from "../settings.ts";
import { parseEndpoint, throwIfNoProject } from "../settings.ts";
import { cell, formatTable } from "../table.ts";

/** Named connections in the config file. Flags and the environment take precedence over them. */
export function contextCommand(cli: CliContext): Command {
  const commands = [listCommand(cli), useCommand(cli), setCommand(cli), deleteCommand(cli)];
  const summary = "name the APIs that you use, and choose the current one";
  const examples = ["context set lab --api-endpoint lab.example:20180", "context use lab"];
  const group = groupCommand(["context"], summary, commands, examples);
  return group.addHelpText("after", `\nThe config file: ${configPath(cli.io)}`);
}

const COLUMNS = ["current", "name", "api_endpoint", "token_file", "tls_ca", "project"].map(cell);

function listCommand(cli: CliContext): Command {
  const command = new Command("list").description("show the contexts");
  withExamples(command, ["context list"]);
  return command.action(async () => {
    const { current, contexts } = await readConfig(cli.io);
    const rows = [...contexts].map(([name, entry]) => ({
      name,
      ...entry,
      ...(name === current ? { current: "*" } : {}),
    }));
    const format = cli.format();
    if (format === "json" || format === "yaml") {
      cli.io.stdout.print(await formatValue(format, rows));
    } else if (format === "jsonl" || format === "name") {
      const line = (row: (typeof rows)[number]) =>
        format === "name" ? row.name : JSON.stringify(row);
      for (const row of rows) cli.io.stdout.print(`${line(row)}\n`);
    } else cli.io.stdout.print(formatTable(COLUMNS, true, rows));
  });
}

function useCommand(cli: CliContext): Command {
  const command = new Command("use")
    .description("make a context the current one")
    .argument("<name>");
  withExamples(command, ["context use lab"]);
  return command.action(async (name: string) => {
    const config = await readConfig(cli.io);
    if (!config.contexts.has(name)) throw noContext(name);
    await writeConfig(cli.io, { ...config, current: name });
    cli.say(`context ${name} is the current one`);
  });
}

function setCommand(cli: CliContext): Command {
  const command = new Command("set")
    .description(
      "make or change a context, from --api-endpoint, --token-file, --tls-ca and --project",
    )
    .argument("<name>");
  withExamples(command, [
    "context set lab --api-endpoint https://lab.example:20180 --token-file ~/.n0token",
    "context set lab --project acme",
  ]);
  return command.action(async (name: string) => {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(name)) {
      throw new CliError(
        `${quote(name)} is not a name: write a letter or digit, then letters, digits, ".", "_" or "-"`,
      );
    }
    const flags = cli.flags();
    const endpoint = flags.apiEndpoint ?? flags.apiUrl;
    const change: NamedConnection = {
      ...defined({ api_endpoint: endpoint, project: flags.project }),
      ...(flags.tokenFile === undefined ? {} : { token_file: resolve(flags.tokenFile) }),
      ...(flags.tlsCa === undefined ? {} : { tls_ca: resolve(flags.tlsCa) }),
    };
    if (Object.keys(change).length === 0) {
      throw new CliError("say what to set: --api-endpoint, --token-file, --tls-ca or --project");
    }
    if (flags.project !== undefined) throwIfNoProject(flags.project);
    if (endpoint !== undefined) parseEndpoint(endpoint, flags.tlsCa !== undefined);
    const config = await readConfig(cli.io);
    const contexts = new Map(config.contexts);
    contexts.set(name, { ...contexts.get(name), ...change });
    await writeConfig(cli.io, { current: config.current ?? name, contexts });
    cli.say(`context ${name} is set`);
  });
}

function deleteCommand(cli: CliContext): Command {
  const command = new Command("delete").description("delete a context").argument("<name>");
  withExamples(command, ["context delete lab"]);
  return command.action(async (name: string) => {
    const config = await readConfig(cli.io);
    const contexts = new Map(config.contexts);
    if (!contexts.delete(name)) throw noContext(name);
    const current = config.current === name ? undefined : config.current;
    await writeConfig(cli.io, { current, contexts });
    cli.say(`context ${name} is deleted`);
  });
}

function noContext(name: string): CliError {
  return new CliError(
    `context ${quote(name)} does not exist: see n0cli context list`,
    EXIT.notFound,
  );
}
