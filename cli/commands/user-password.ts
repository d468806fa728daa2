import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  IdentityService,
  WhoAmIRequestSchema,
} from "../../src/gen/n0stack/iam/v1alpha1/identity_pb.ts";
import {
  PasswordService,
  SetPasswordRequestSchema,
} from "../../src/gen/n0stack/iam/v1alpha1/password_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { rpcCommand } from "../rpc-command.ts";
import { askNewPassword, passwordSource } from "../sign-in/ask-password.ts";
import { throwIfReadOnTheWay } from "../sign-in/password.ts";

interface Flags {
  readonly passwordStdin?: boolean;
}

export function passwordCommands(cli: CliContext): readonly Command[] {
  return [
    setCommand(cli),
    rpcCommand(cli, {
      name: "remove-password",
      method: PasswordService.method.removePassword,
      args: ["user_name"],
      summary: "remove the password of a user, and end the sessions that it has opened",
      examples: ["user remove-password alice"],
    }),
  ];
}

function setCommand(cli: CliContext): Command {
  const command = new Command("set-password")
    .description("set the password of a user, and end the sessions that an older one has opened")
    .argument("<user_name>")
    .option(
      "--password-stdin",
      "read the password from standard input; for your own, the old one in a line before",
    );
  withExamples(command, ["user set-password alice"]);
  return command.action(async (userName: string, { passwordStdin = false }: Flags) => {
    throwIfReadOnTheWay((await cli.connection()).baseUrl);
    const source = await passwordSource(cli, passwordStdin);
    const { principal } = await callUnary(
      cli,
      IdentityService.method.whoAmI,
      create(WhoAmIRequestSchema),
    );
    // A user of the same name in another domain is asked for it, too, and the API ignores it.
    const isOwn = principal.startsWith("user/") && principal.endsWith(`/${userName}`);
    const oldPassword = isOwn ? await source.ask(`Old password of ${userName}`) : "";
    const newPassword = await askNewPassword(source, !passwordStdin);
    const request = create(SetPasswordRequestSchema, { userName, oldPassword, newPassword });
    await callUnary(cli, PasswordService.method.setPassword, request);
    cli.say(`the password of ${userName} is set: sign in with n0cli login --user ${userName}`);
  });
}
