import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  BlockStorageService,
  GetBlockStorageRequestSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import type { VirtualMachine } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { runningMachine } from "../running-machine.ts";
import { configFolder } from "../settings.ts";
import { checkIdentity, withPrivateIdentity } from "./identity.ts";

export interface SshFlags {
  readonly identity?: string;
  readonly login?: string;
  readonly address?: string;
  readonly port: string;
}

/** The flags of each command that reaches a virtual machine by SSH. */
export function withSshFlags(command: Command): Command {
  return command
    .option("-i, --identity <path>", "the private key to log in with")
    .option("-l, --login <user>", "the user to log in as (default: its login_username)")
    .option("--address <ip>", "one of the addresses of the virtual machine (default: the first)")
    .option("--port <port>", "the port of its SSH server", "22");
}

/**
 * Runs a program of OpenSSH, such as ssh or scp, whose host `name` is the virtual machine. It reaches that through
 * the API. Its exit code becomes this program's.
 *
 * @param rest what follows the options that choose the way, the user and the key.
 */
export async function runOpenSsh(
  cli: CliContext,
  program: string,
  name: string,
  flags: SshFlags,
  rest: readonly string[],
): Promise<void> {
  if (flags.identity !== undefined) await checkIdentity(flags.identity);
  const vm = await runningMachine(cli, name);
  const folder = join(configFolder(cli.io), "known_hosts");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const knownHosts = join(folder, await knownHostsName(cli, name, vm));
  const { baseUrl } = await cli.connection();
  const proxy = proxyCommand(cli, baseUrl, name, flags);
  const user = loginOf(vm, flags);
  // The terminal sends its interrupts to the program directly.
  const release = cli.takeInterrupts(() => {});
  try {
    cli.exitCode = await withPrivateIdentity(cli, flags.identity, async (identity) => {
      const args = [...optionsOf(name, { proxy, knownHosts, user, identity }), ...rest];
      return await cli.io.exec(program, args).catch((reason: unknown) => {
        const message = `cannot run ${program}: install the OpenSSH client`;
        throw new CliError(message, EXIT.failed, reason);
      });
    });
  } finally {
    release();
  }
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
function loginOf(vm: VirtualMachine, { login }: SshFlags): string {
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
  flags: Pick<SshFlags, "address" | "port">,
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
  readonly user: string;
  readonly identity: string | undefined;
}

function optionsOf(name: string, { proxy, knownHosts, user, identity }: SshSetting): string[] {
  // ssh splits the values of its options at blanks, so the path is quoted.
  const file = `"${knownHosts.replaceAll("%", "%%")}"`;
  return [
    ...["-o", `ProxyCommand=${proxy}`],
    ...["-o", `HostKeyAlias=${name}`],
    ...["-o", `UserKnownHostsFile=${file}`],
    ...["-o", "StrictHostKeyChecking=accept-new"],
    ...(identity === undefined ? [] : ["-i", identity, "-o", "IdentitiesOnly=yes"]),
    ...(user === "" ? [] : ["-o", `User=${user}`]),
  ];
}
