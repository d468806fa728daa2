import { readFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { AddSshPublicKeyRequestSchema, UserService } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { readAll } from "../input.ts";
import { printMessage } from "../output.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";

interface Flags {
  readonly file?: string;
  readonly ssh_public_key?: string;
}

/** `user key add` and `delete`, which also have the names of their RPCs. */
export function keyCommands(cli: CliContext): readonly Command[] {
  const both = (add: string, remove: string) => [
    addKeyCommand(cli, add),
    deleteKeyCommand(cli, remove),
  ];
  return [
    ...both("add_ssh_public_key", "delete_ssh_public_key"),
    groupCommand(["key"], "SSH public keys of a user", both("add", "delete")),
  ];
}

function deleteKeyCommand(cli: CliContext, name: string): Command {
  return rpcCommand(cli, {
    name,
    method: UserService.method.deleteSshPublicKey,
    args: ["user_name", "ssh_public_key_name"],
    summary: "remove an SSH public key from a user",
    examples: ["user key delete alice laptop"],
  });
}

function addKeyCommand(cli: CliContext, name: string): Command {
  const command = new Command(name)
    .description("add an SSH public key to a user")
    .argument("<user_name>")
    .argument("<ssh_public_key_name>")
    .option("-f, --file <path>", "a file that holds the public key; - reads it from standard input")
    .option("--ssh_public_key <text>", "the public key itself");
  withExamples(command, [
    "user key add alice laptop --file ~/.ssh/id_ed25519.pub",
    'user key add alice laptop --ssh_public_key "ssh-ed25519 AAAA… alice"',
  ]);
  return command.action(async (userName: string, sshPublicKeyName: string, flags: Flags) => {
    const sshPublicKey = await readKey(cli, flags);
    const method = UserService.method.addSshPublicKey;
    const request = create(AddSshPublicKeyRequestSchema, {
      userName,
      sshPublicKeyName,
      sshPublicKey,
    });
    await printMessage(cli, method.output, await callUnary(cli, method, request));
  });
}

async function readKey(cli: CliContext, flags: Flags): Promise<string> {
  const { file, ssh_public_key: text } = flags;
  if ((file === undefined) === (text === undefined)) {
    throw new CliError("give the public key with one of --file and --ssh_public_key");
  }
  if (file === undefined) return text ?? "";
  if (file === "-") return (await readAll(cli.io.stdin)).trim();
  const key = await readFile(file, "utf8").catch((reason: unknown) => {
    throw new CliError(`--file: cannot read ${file}`, undefined, reason);
  });
  if (key.includes("PRIVATE KEY")) {
    throw new CliError(`--file: ${file} is a private key; name its .pub file`);
  }
  return key.trim();
}
