import { Command, CommanderError } from "commander";
import { errorChain, N0Error } from "../util/errors.ts";
import type { Log, LogOptions } from "../util/log.ts";
import { openLog } from "../util/log.ts";
import { loadSettings, printSettings, written } from "./config.ts";
import { openLogFile } from "./log-file.ts";
import type { Served } from "./run.ts";
import { runUntilSignal } from "./run.ts";
import { kebabCase, settingsOf } from "./setting-info.ts";
import type { Role, Settings } from "./settings.ts";
import { readVersion } from "./version.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Loaded only if needed, because help and version need no database and no libvirt. */
const STARTERS: { readonly [R in Role]: (settings: Settings<R>, log: Log) => Promise<Served> } = {
  api: async (settings, log) => (await import("./serve-api.ts")).serveApi(settings, log),
  agent: async (settings, log) => (await import("./serve-agent.ts")).serveAgent(settings, log),
  standalone: async (settings, log) =>
    (await import("./serve-standalone.ts")).serveStandalone(settings, log),
};

const EXAMPLES: Readonly<Record<Role | "serve", readonly (readonly [string, string])[]>> = {
  serve: [
    ["n0core serve standalone", "everything on this one node"],
    ["n0core serve api", "the API, for agents on other nodes"],
    ["n0core serve agent", "the agent of this node, for an API on the same node"],
  ],
  standalone: [
    ["n0core serve standalone", "on http://127.0.0.1:20180, kept in /var/lib/n0core"],
    ["n0core serve standalone --config /etc/n0core.yaml", "with the settings of a file"],
    ["n0core serve standalone --print-config", "the settings that it would run with"],
  ],
  api: [
    ["n0core serve api", "on http://127.0.0.1:20180, kept in /var/lib/n0core"],
    [
      "n0core serve api --bind-address 10.0.0.1",
      "on https://10.0.0.1:20180, for clients and agents on other computers",
    ],
    ["n0core serve api --print-config", "the settings that it would run with"],
  ],
  agent: [
    [
      "n0core serve agent --join TOKEN --node-api-endpoint https://10.0.0.1:20180",
      "a node of the API on 10.0.0.1; n0cli node join-token prints this command",
    ],
    ["n0core serve agent --location tokyo/az1/c1/r2/14", "the agent, for an API on the same node"],
    ["n0core serve agent --print-config", "the settings that it would run with"],
  ],
};

const SUMMARIES: Readonly<Record<Role, string>> = {
  standalone: "Serves the API and the agent of this node in one process.",
  api: "Serves the API: keeps the records, decides, and calls the agents.",
  agent:
    "Serves one node: runs its virtual machines, volumes and networks, and registers it with the API.",
};

function examplesText(key: keyof typeof EXAMPLES): string {
  const lines = EXAMPLES[key].map(([command, what]) => `  # ${what}\n  ${command}`);
  return `Examples:\n${lines.join("\n")}\n`;
}

const SETTINGS_NOTE =
  "\nYou can also set each option in the environment (--bind-port as N0CORE_BIND_PORT) or in the config\n" +
  "file (bind-port: 20180). A flag has precedence over the environment, the environment over the file.\n" +
  "An agent fetches images through HTTP_PROXY and HTTPS_PROXY, except from the hosts in NO_PROXY.";

function program(): Command {
  const root = new Command("n0core")
    .description("A cloud for the computers you own: the API and the agents of n0stack.")
    .exitOverride()
    .addHelpText("beforeAll", "")
    .addHelpText("before", examplesText("serve"));
  root
    .command("version")
    .description("Prints the version.")
    .action(() => console.log(`n0core ${readVersion()}`));
  const serve = root
    .command("serve")
    .description("Starts a server.")
    .addHelpText("before", examplesText("serve"));
  for (const role of ["standalone", "api", "agent"] as const) serve.addCommand(roleCommand(role));
  return root;
}

function roleCommand(role: Role): Command {
  const command = new Command(role)
    .exitOverride()
    .description(SUMMARIES[role])
    .addHelpText("before", examplesText(role))
    .addHelpText("after", SETTINGS_NOTE)
    .option("--config <file>", "reads settings from this YAML file")
    .option("--print-config", "prints the settings as such a file, and ends");
  for (const { key, about, defaultValue } of settingsOf(role)) {
    const text = String(written(defaultValue, about.kind) ?? "");
    const hint = text === "" ? "" : ` (default: ${text})`;
    command.option(`--${kebabCase(key)} ${about.argument}`, about.description + hint);
  }
  return command.action(async () => {
    const { config, printConfig, ...flags } = command.opts<Record<string, unknown>>();
    const configPath = typeof config === "string" ? config : undefined;
    await runRole(role, { flags, environment: process.env, configPath }, printConfig === true);
  });
}

async function runRole<R extends Role>(
  role: R,
  sources: Parameters<typeof loadSettings>[1],
  printOnly: boolean,
): Promise<void> {
  const settings = loadSettings(role, sources);
  if (printOnly) {
    process.stdout.write(printSettings(role, settings));
    return;
  }
  const { stopTimeout: stopTimeoutMs, pidFile } = settings;
  const log = openLog(logOptionsOf(settings));
  log.info("starting", { role, version: readVersion(), node: process.version });
  try {
    await runUntilSignal({ log, stopTimeoutMs, pidFile }, () => STARTERS[role](settings, log));
  } catch (error) {
    log.error("could not serve", { error });
    throw error;
  }
}

/** At each SIGHUP, a log file is opened again, as programs that rotate logs expect. */
function logOptionsOf({ logLevel: level, logFile, logSizeMax }: Settings<Role>): LogOptions {
  if (logFile === undefined) return { level };
  const file = openLogFile(logFile, Number(logSizeMax));
  process.on("SIGHUP", file.reopen);
  return { level, write: file.write };
}

/** The reader of our output may stop, as in `n0core serve --help | head`. */
function endQuietlyWhenUnread(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
}

async function main(): Promise<void> {
  endQuietlyWhenUnread();
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
      return;
    }
    const isWrongUse = error instanceof N0Error && error.kind === "invalid_argument";
    const text = error instanceof N0Error ? error.message : errorChain(error);
    console.error(`n0core: ${text.replaceAll("\n", "\nn0core: ")}`);
    // Resources that were opened before the failure may keep the process alive.
    process.exit(isWrongUse ? EXIT_USAGE : EXIT_FAILED);
  }
}

await main();
