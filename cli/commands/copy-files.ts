import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { runOpenSsh, type SshFlags, withSshFlags } from "../ssh/target.ts";

interface Flags extends SshFlags {
  readonly recursive?: boolean;
  readonly preserve?: boolean;
}

export function copyCommand(cli: CliContext): Command {
  const command = new Command("cp")
    .description(
      "copy files to or from a virtual machine by SSH through the API; this computer needs no route to its network",
    )
    .usage("[options] <source...> <target>")
    .argument("<source>", "PATH here, or NAME:PATH in the virtual machine NAME")
    .argument("<more...>", "more sources, and last the target; one side is in a virtual machine")
    .option("-r, --recursive", "copy folders with all that they contain")
    .option("-p, --preserve", "keep the times and permissions of files");
  withSshFlags(command);
  withExamples(command, [
    "cp notes.txt web-1:",
    "cp -r site/ web-1:/srv/www",
    "cp web-1:/var/log/syslog .",
  ]);
  return command.action(async (source: string, more: readonly string[], flags: Flags) => {
    const places = [source, ...more];
    const vm = machineOf(places.map(nameIn));
    const letters = `${flags.recursive === true ? "r" : ""}${flags.preserve === true ? "p" : ""}`;
    const rest = [...(letters === "" ? [] : [`-${letters}`]), "--", ...places];
    await runOpenSsh(cli, "scp", vm, flags, rest);
  });
}

/**
 * The virtual machine of a place; undefined for a path of this computer. Like scp, which gets the same text: the
 * part before the first colon is a name, unless a slash is in it.
 */
function nameIn(place: string): string | undefined {
  const colon = place.indexOf(":");
  return colon <= 0 || place.slice(0, colon).includes("/") ? undefined : place.slice(0, colon);
}

/** @throws CliError unless files go from this computer to one virtual machine, or the other way. */
function machineOf(names: readonly (string | undefined)[]): string {
  const target = names.at(-1);
  const sources = names.slice(0, -1);
  const [source] = sources;
  if (sources.some((vm) => vm !== source)) {
    throw new CliError("all sources must be on this computer, or all in one virtual machine");
  }
  if (source !== undefined && target !== undefined) {
    throw new CliError("either the sources or the target must be on this computer");
  }
  const vm = source ?? target;
  if (vm === undefined) {
    throw new CliError("name a virtual machine: NAME:PATH as the target, or as each source");
  }
  return vm;
}
