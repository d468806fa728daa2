import { toJson } from "@bufbuild/protobuf";
import { Command, InvalidArgumentError, Option } from "commander";
import { BlockStorage_BlockStorageState } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineSchema } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatBytes, parseBytes } from "../../src/util/bytes.ts";
import { N0Error } from "../../src/util/errors.ts";
import { quote } from "../../src/util/quote.ts";
import type { CliContext } from "../context.ts";
import { collect } from "../do/read.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { readText } from "../input.ts";
import { printList } from "../output.ts";
import { listMethod, loadResource, recordField } from "../resource/resource.ts";
import { virtualMachine } from "../resource/virtual-machine.ts";
import { execute, plan } from "../run/execute.ts";
import { checkTag, pairOf, usualNetwork } from "../run/look.ts";
import { publicKeys } from "../run/public-keys.ts";
import { runFile } from "../run/tasks.ts";
import { waitForSsh } from "../run/wait-ssh.ts";
import { withFiles } from "../run/write-files.ts";
import { cell, formatTable, type Row } from "../table.ts";

interface Flags {
  readonly image: string;
  readonly network?: string;
  readonly cpu: number;
  readonly memory: string;
  readonly disk: string;
  readonly login: string;
  readonly sshKey: string;
  readonly userData?: string;
  readonly writeFile?: readonly string[];
  readonly count?: number;
  readonly wait?: string;
  readonly yaml?: true;
  readonly plan?: true;
}

export function runCommand(cli: CliContext): Command {
  const command = new Command("run")
    .description(
      "make a virtual machine from an image, with a block storage of its own, and start it",
    )
    .argument("<name>")
    .requiredOption("--image <image[:tag]>", "what its block storage begins as (tag: latest)")
    .option("--network <name>", "the network of its nic")
    .option("--cpu <count>", "how many vCPUs; a tenth of each is guaranteed", parseCpus, 1)
    .option("--memory <size>", "its memory", parseSize, "1GiB")
    .option("--disk <size>", "the size of its block storage", parseSize, "10GiB")
    .option("-l, --login <user>", "the user of its guest that the key is for", "n0")
    .option("--ssh-key <me|file>", "a key file, or me for the public keys of ~/.ssh", "me")
    .option("--user-data <file>", "what cloud-init does in its guest; - reads standard input")
    .option("--write-file <path=file>", "write a local file into its guest; repeatable", collect)
    .option("--count <count>", "make several: NAME-1, NAME-2, …", parseCount)
    .addOption(
      new Option(
        "--wait <what>",
        "wait until it answers, at most the time of --timeout or 5 minutes",
      ).choices(["ssh"]),
    )
    .option("--plan", "print what it would do, and make nothing; exit with 3")
    .option("--yaml", "print the file for n0cli do that does the same, and make nothing");
  withExamples(command, [
    "run web --image debian:12",
    "run web --image debian:12 --cpu 2 --memory 2GiB --disk 20GiB --wait ssh",
    "run web --image debian:12 --count 3 --ssh-key ./lab_key.pub",
    "run web --image debian:12 --user-data web.yaml --write-file /etc/motd=motd",
    "run web --image debian:12 --plan",
    "run web --image debian:12 --yaml > web.yaml",
  ]);
  command.addHelpText("after", HELP);
  return command.action(async (name: string, flags: Flags) => await runOne(cli, name, flags));
}

const HELP = `
Without --network the nic is in the network called default, else in the only network of the project. If the project has
no network, run makes default. A node must have room for the whole block storage.

n0cli rm takes back what run made. The network stays: others may use it.`;

async function runOne(cli: CliContext, name: string, flags: Flags): Promise<void> {
  const names = namesOf(name, flags.count);
  const { keys, identity } = await publicKeys(cli, flags.sshKey);
  const { image, tag } = imageOf(flags.image);
  const { userData: file } = flags;
  const { stdin } = cli.io;
  const text = file === undefined ? undefined : await readText("--user-data", file, stdin);
  const userData = await withFiles(text, flags.writeFile ?? []);
  await checkTag(cli, image, tag);
  const asked = flags.network;
  const on = asked === undefined ? await usualNetwork(cli) : { network: asked, cidr: undefined };
  const { cpu: cpus, memory, disk, login } = flags;
  const yaml = runFile({ names, image, tag, ...on, cpus, memory, disk, login, keys, userData });
  if (flags.yaml === true) {
    cli.io.stdout.print(yaml);
    return;
  }
  for (const one of names) await throwIfTaken(cli, one);
  if (flags.plan === true) return await plan(cli, "run", yaml);
  if (!(await execute(cli, "run", yaml))) return;
  try {
    if (flags.wait === "ssh") await waitForSsh(cli, names);
  } finally {
    await print(cli, names, identity);
  }
}

function imageOf(text: string): { readonly image: string; readonly tag: string } {
  const [image = "", tag = "latest", ...rest] = text.split(":");
  if (image !== "" && tag !== "" && rest.length === 0) return { image, tag };
  throw new CliError(`--image: ${quote(text)} is not an image such as debian or debian:12`);
}

function namesOf(name: string, count: number | undefined): readonly string[] {
  if (count === undefined) return [name];
  return Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
}

/** Before anything is made. A deleted block storage gives its name away. */
async function throwIfTaken(cli: CliContext, name: string): Promise<void> {
  const { vm, disk } = await pairOf(cli, name);
  const isDeleted = disk?.state === BlockStorage_BlockStorageState.DELETED;
  if (vm === undefined && (disk === undefined || isDeleted)) return;
  const what = vm === undefined ? "block storage" : "virtual machine";
  throw new CliError(
    `${what} "${name}" exists already: choose another name. Nothing was made.`,
    EXIT.conflict,
  );
}

/** On a terminal, each with its address and how to log in. Otherwise as `get` prints them. */
async function print(
  cli: CliContext,
  names: readonly string[],
  identity: string | undefined,
): Promise<void> {
  const rows: Row[] = [];
  for (const name of names) {
    const { vm } = await pairOf(cli, name);
    if (vm === undefined) continue;
    const json = toJson(VirtualMachineSchema, vm, { useProtoFieldName: true }) as Row;
    rows.push({ ...json, log_in: sshLine(name, identity) });
  }
  if (cli.format() === "table") {
    const address = { ...cell("nics.ipv4_address"), header: "ADDRESS" };
    const columns = [cell("name"), address, cell("log_in")];
    cli.io.stdout.print(formatTable(columns, false, rows));
    return;
  }
  const resource = await loadResource(virtualMachine);
  const field = recordField(resource, listMethod(resource).output);
  const records = rows.map(({ log_in: _, ...record }) => record);
  await printList(cli, resource, field, { [field]: records }, []);
  for (const name of names) cli.say(`Log in: ${sshLine(name, identity)}`);
}

function sshLine(name: string, identity: string | undefined): string {
  const key = identity === undefined ? "" : ` -i '${identity.replaceAll("'", "'\\''")}'`;
  return `n0cli vm ssh ${name}${key}`;
}

function parseCpus(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError("a whole number from 1 up");
}

function parseCount(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 100) return Number(text);
  throw new InvalidArgumentError("a number from 1 to 100");
}

/** As `do` files have it. */
function parseSize(text: string): string {
  try {
    return formatBytes(parseBytes(text));
  } catch (reason) {
    throw new InvalidArgumentError(reason instanceof N0Error ? reason.message : "a size");
  }
}
