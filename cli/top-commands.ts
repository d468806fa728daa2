import { Command } from "commander";
import type { CliContext } from "./context.ts";
import { RESOURCES } from "./resource/all.ts";
import type { ResourceKind } from "./resource/define.ts";
import { otherNames } from "./resource/kind.ts";
import { quiet } from "./root-command.ts";

/** A top-level command. Only the one that runs is loaded, because loading is most of the time of a short call. */
interface TopCommand {
  readonly names: readonly [string, ...string[]];
  readonly summary: string;
  /** `words` are those that follow its name. */
  load(cli: CliContext, words: readonly string[]): Promise<Command>;
}

const TOP_COMMANDS: readonly TopCommand[] = [
  {
    names: ["do"],
    summary: "run the tasks of YAML files in the order of their dependencies",
    load: async (cli) => (await import("./commands/do.ts")).doCommand(cli),
  },
  {
    names: ["export"],
    summary: "print the YAML file that makes what exists",
    load: async (cli) => (await import("./commands/export.ts")).exportCommand(cli),
  },
  {
    names: ["get", "list", "ls"],
    summary: "show resources of one kind",
    load: async (cli, words) => (await import("./commands/get.ts")).allGetCommand(cli, words),
  },
  {
    names: ["run"],
    summary: "make a virtual machine from an image, and start it",
    load: async (cli) => (await import("./commands/run.ts")).runCommand(cli),
  },
  {
    names: ["rm"],
    summary: "delete virtual machines that run made, with their block storages",
    async load(cli, words) {
      // Of old, rm is another word for delete, which takes a kind and a name.
      if (words.length > 1 && RESOURCES.some((kind) => isNamed(kind, words[0] ?? ""))) {
        return (await import("./commands/delete.ts")).allDeleteCommand(cli, words, "rm");
      }
      return await (await import("./commands/rm.ts")).rmCommand(cli);
    },
  },
  {
    names: ["delete"],
    summary: "delete one resource",
    load: async (cli, words) => (await import("./commands/delete.ts")).allDeleteCommand(cli, words),
  },
  ...RESOURCES.map(groupOf),
  {
    names: ["port-forward"],
    summary: "reach ports of a virtual machine on ports of this computer",
    load: async (cli) => (await import("./commands/port-forward.ts")).portForwardCommand(cli),
  },
  {
    names: ["cp"],
    summary: "copy files to or from a virtual machine",
    load: async (cli) => (await import("./commands/copy-files.ts")).copyCommand(cli),
  },
  {
    names: ["transaction", "tx"],
    summary:
      "transactions, which are requests and their progress: list, show, watch, cancel, retry, give up",
    load: async (cli) => (await import("./commands/tx.ts")).transactionCommand(cli),
  },
  {
    names: ["audit"],
    summary: "who did what, who signed in, and who was refused",
    load: async (cli) => (await import("./commands/audit-events.ts")).auditCommand(cli),
  },
  {
    names: ["verify"],
    summary: "compare the nodes with the records, and repair differences",
    load: async (cli) => (await import("./commands/verify.ts")).verifyCommand(cli),
  },
  {
    names: ["api"],
    summary: "call any method of the API",
    load: async (cli) => (await import("./commands/api.ts")).apiCommand(cli),
  },
  {
    names: ["login"],
    summary: "sign in at the provider of this API",
    load: async (cli) => (await import("./commands/login.ts")).loginCommand(cli),
  },
  {
    names: ["logout"],
    summary: "forget the sign-in at this API",
    load: async (cli) => (await import("./commands/logout.ts")).logoutCommand(cli),
  },
  {
    names: ["whoami"],
    summary: "show who you are, and your roles",
    load: async (cli) => (await import("./commands/who-am-i.ts")).whoAmICommand(cli),
  },
  {
    names: ["can-i"],
    summary: "say whether you may do something",
    load: async (cli) => (await import("./commands/who-am-i.ts")).canICommand(cli),
  },
  {
    names: ["context"],
    summary: "name the APIs that you use, and choose the current one",
    load: async (cli) => (await import("./commands/context.ts")).contextCommand(cli),
  },
  {
    names: ["completion"],
    summary: "print a completion script for a shell",
    load: async (cli) => (await import("./commands/completion.ts")).completionCommand(cli),
  },
  {
    names: ["version"],
    summary: "show the versions of this client and of the server",
    load: async (cli) => (await import("./commands/version.ts")).versionCommand(cli),
  },
];

function isNamed(kind: ResourceKind, word: string): boolean {
  return [kind.name, ...otherNames(kind)].includes(word);
}

function groupOf(kind: ResourceKind): TopCommand {
  return {
    names: [kind.name, ...kind.aliases],
    summary: kind.summary,
    load: async (cli) => (await import("./resource/commands.ts")).resourceCommand(cli, kind),
  };
}

/** Adds the wanted top command complete, and all others by name only. */
export async function addCommands(program: Command, cli: CliContext, wanted: readonly string[]) {
  for (const top of TOP_COMMANDS) {
    const [name, ...aliases] = top.names;
    const isWanted = wanted[0] !== undefined && top.names.includes(wanted[0]);
    const command = isWanted
      ? await top.load(cli, wanted.slice(1))
      : new Command(name).aliases(aliases).description(top.summary);
    program.addCommand(quiet(command, cli.io, `n0cli ${isWanted ? wanted[0] : name}`));
  }
}
