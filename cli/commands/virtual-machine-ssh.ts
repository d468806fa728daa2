import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { runOpenSsh, type SshFlags, withSshFlags } from "../ssh/target.ts";

export function sshCommand(cli: CliContext): Command {
  const command = new Command("ssh")
    .description(
      "log in to a virtual machine by SSH through the API; this computer needs no route to its network",
    )
    .argument("<name>")
    .argument("[command...]", "the command to run there, after --");
  withSshFlags(command);
  withExamples(command, ["vm ssh example-vm -i examples/id_ed25519", "vm ssh web-1 -- uname -a"]);
  return command.action(async (name: string, words: readonly string[], flags: SshFlags) => {
    await runOpenSsh(cli, "ssh", name, flags, ["--", name, ...words]);
  });
}
