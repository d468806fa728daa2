import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { unaryMethod } from "../resource/resource.ts";
import { user } from "../resource/user.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";
import { addKeyCommand } from "./user-add-key.ts";

export function userCommand(cli: CliContext) {
  const keyCommands = [addKeyCommand(cli, "add"), deleteKeyCommand(cli, "delete")];
  const key = groupCommand(["key"], "SSH public keys of a user", keyCommands);
  return groupCommand(
    ["user"],
    "people and their SSH public keys",
    [
      getCommand(cli, user),
      rpcCommand(cli, {
        name: "create",
        method: unaryMethod(user, "CreateUser"),
        summary: "make a user",
        examples: ["user create alice"],
      }),
      rpcCommand(cli, {
        name: "delete",
        method: unaryMethod(user, "DeleteUser"),
        summary: "delete a user",
        examples: ["user delete alice"],
      }),
      addKeyCommand(cli, "add_ssh_public_key"),
      deleteKeyCommand(cli, "delete_ssh_public_key"),
      key,
    ],
    ["user create alice", "user key add alice laptop --file ~/.ssh/id_ed25519.pub"],
  );
}

function deleteKeyCommand(cli: CliContext, name: string): Command {
  return rpcCommand(cli, {
    name,
    method: unaryMethod(user, "DeleteSshPublicKey"),
    args: ["user_name", "ssh_public_key_name"],
    summary: "take an SSH public key from a user",
    examples: ["user key delete alice laptop"],
  });
}
