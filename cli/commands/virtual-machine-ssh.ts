import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  BlockStorageService,
  GetBlockStorageRequestSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import {
  GetVirtualMachineRequestSchema,
  VirtualMachineService,
  VirtualMachine_VirtualMachineState as VirtualMachineState,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { checkIdentity, withPrivateIdentity } from "../identity.ts";
import { configFolder } from "../settings.ts";

/**
 * A name becomes part of a path and of a command line, so it must be valid, and the name that the user typed.
 */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

interface Flags {
  readonly identity?: string;
  readonly login?: string;
  readonly address?: string;
  readonly port: string;
}

export function sshCommand(cli: CliContext): Command {
  const command = new Command("ssh")
    .description(
      "log in to a virtual machine by SSH through the API; this computer needs no route to its network",
    )
    .argument("<name>")
    .argument("[command...]", "the command to run there, after --")
    .option("-i, --identity <path>", "the private key to log in with")
    .option("-l, --login <user>", "the user to log in as (default: its login_username)")
    .option("--address <ip>", "one of the addresses of the virtual machine (default: the first)")
    .option("--port <port>", "the port of its SSH server", "22");
  withExamples(command, ["vm ssh example-vm -i examples/id_ed25519", "vm ssh web-1 -- uname -a"]);
  return command.action(async (name: string, words: readonly string[], flags: Flags) => {
    if (!NAME.test(name)) throw new CliError(`"${name}" is not the name of a virtual machine`);
    if (flags.identity !== undefined) await checkIdentity(flags.identity);
    const request = create(GetVirtualMachineRequestSchema, { name });
    const method = VirtualMachineService.method.getVirtualMachine;
    const vm = await callUnary(cli, method, request);
    if (vm.state !== VirtualMachineState.RUNNING) {
      const hint = `start it with n0cli vm boot ${name}`;
      throw new CliError(`virtual machine "${name}" is not running; ${hint}`, EXIT.conflict);
    }
    const folder = join(configFolder(cli.io), "known_hosts");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const knownHosts = join(folder, await knownHostsName(cli, name, vm));
    const { baseUrl } = await cli.connection();
    const proxy = proxyCommand(cli, baseUrl, name, flags);
    const user = loginOf(vm, flags);
    // The terminal sends its interrupts to ssh directly.
    const release = cli.takeInterrupts(() => {});
    try {
      cli.exitCode = await withPrivateIdentity(cli, flags.identity, async (identity) => {
        const args = sshArgs(name, user, { proxy, knownHosts, words, identity });
        return await cli.io.exec("ssh", args).catch((reason: unknown) => {
          throw new CliError("cannot run ssh: install the OpenSSH client", EXIT.failed, reason);
        });
      });
    } finally {
      release();
    }
  });
}

/**
 * The guest keeps its host key on its first block storage, so the file has the name of that block storage: a
 * virtual machine that is made again under the same name has another key if its block storage is new.
 */
async function knownHostsName(cli: CliContext, name: string, vm: VirtualMachine): Promise<string> {
  const [boot] = vm.blockStorageNames;
  if (boot === undefined) return name;
  const request = create(GetBlockStorageRequestSchema, { name: boot });
  const { volumeId } = await callUnary(cli, BlockStorageService.method.getBlockStorage, request);
  return /^[a-zA-Z0-9._~-]{1,190}$/.test(volumeId) ? `${name}-${volumeId}` : name;
}

/** The user to log in as. A name from the server must not be an option of ssh or have a meaning for a shell. */
function loginOf(vm: VirtualMachine, { login }: Flags): string {
  const user = login ?? vm.loginUsername;
  if (login !== undefined || /^(?:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,63})?$/.test(user)) return user;
  throw new CliError(
    `login_username ${JSON.stringify(user.slice(0, 80))} is not a user name: choose one with --login`,
    EXIT.failed,
  );
}

/** The command line of this program that joins ssh to the guest, for the shell that ssh starts. */
export function proxyCommand(
  cli: Pick<CliContext, "io" | "flags">,
  endpoint: string,
  name: string,
  flags: Pick<Flags, "address" | "port">,
): string {
  const { tokenFile, tlsCa, context, project } = cli.flags();
  const words = [
    ...cli.io.self,
    ...["--api-endpoint", endpoint],
    ...(context === undefined ? [] : ["--context", context]),
    ...(tokenFile === undefined ? [] : ["--token-file", tokenFile]),
    ...(tlsCa === undefined ? [] : ["--tls-ca", tlsCa]),
    ...(project === undefined ? [] : ["--project", project]),
    ...["vm", "forward"],
    ...(flags.address === undefined ? [] : ["--address", flags.address]),
    ...["--", name, flags.port],
  ];
  // First ssh replaces each % and letter, then a shell reads the line.
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`.replaceAll("%", "%%")).join(" ");
}

interface SshSetting {
  readonly proxy: string;
  readonly knownHosts: string;
  readonly words: readonly string[];
  readonly identity: string | undefined;
}

function sshArgs(name: string, user: string, setting: SshSetting) {
  const { proxy, knownHosts, words, identity } = setting;
  // ssh splits the values of its options at blanks, so the path is quoted.
  const file = `"${knownHosts.replaceAll("%", "%%")}"`;
  return [
    ...["-o", `ProxyCommand=${proxy}`],
    ...["-o", `HostKeyAlias=${name}`],
    ...["-o", `UserKnownHostsFile=${file}`],
    ...["-o", "StrictHostKeyChecking=accept-new"],
    ...(identity === undefined ? [] : ["-i", identity, "-o", "IdentitiesOnly=yes"]),
    ...(user === "" ? [] : ["-l", user]),
    "--",
    name,
    ...words,
  ];
}
