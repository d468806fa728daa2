import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  CanIRequestSchema,
  type HeldRole,
  IdentityService,
  WhoAmIRequestSchema,
  type WhoAmIResponse,
} from "../../src/gen/n0stack/iam/v1alpha1/identity_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { formatValue, messageToJson } from "../output.ts";

export function whoAmICommand(cli: CliContext): Command {
  const command = new Command("whoami").description("show who you are, and your roles");
  withExamples(command, ["whoami", "whoami -o json"]);
  return command.action(async () => {
    const method = IdentityService.method.whoAmI;
    const answer = await callUnary(cli, method, create(WhoAmIRequestSchema));
    if (isForPrograms(cli)) {
      cli.io.stdout.print(await formatValue(cli.format(), messageToJson(method.output, answer)));
      return;
    }
    for (const line of linesOf(answer)) cli.io.stdout.print(`${line}\n`);
  });
}

export function canICommand(cli: CliContext): Command {
  const command = new Command("can-i")
    .description("say whether you may do something; the exit code is 4 if you may not")
    .argument("<verb>")
    .argument("<resource>")
    .option("--scope <place>", "system, domain/NAME or project/NAME (default: the project)");
  withExamples(command, [
    "can-i create virtual_machine",
    "can-i list node --scope system",
    "can-i apply network --project acme",
  ]);
  return command.action(async (verb: string, resource: string, { scope = "" }: Flags) => {
    const method = IdentityService.method.canI;
    const request = create(CanIRequestSchema, { verb, resource, scope });
    const answer = await callUnary(cli, method, request);
    if (!answer.allowed) cli.exitCode = EXIT.notAllowed;
    if (isForPrograms(cli)) {
      cli.io.stdout.print(await formatValue(cli.format(), messageToJson(method.output, answer)));
      return;
    }
    const why = answer.by === undefined ? "" : `: ${roleText(answer.by)}`;
    cli.io.stdout.print(answer.allowed ? `yes${why}\n` : "no\n");
  });
}

interface Flags {
  readonly scope?: string;
}

function isForPrograms(cli: CliContext): boolean {
  return !["table", "wide", "name"].includes(cli.format());
}

function linesOf({ principal, groups, tokenId, project, roles, ...answer }: WhoAmIResponse) {
  const limits = [
    ...(answer.onlyInProject === "" ? [] : [`only in project/${answer.onlyInProject}`]),
    ...(answer.onlyRoles.length === 0 ? [] : [`only as ${answer.onlyRoles.join(", ")}`]),
  ];
  return [
    principal,
    ...groups.map((group) => `in ${group}`),
    `works in project/${project}`,
    ...(tokenId === "" ? [] : [`with token ${tokenId}`]),
    ...limits,
    ...roles.map(roleText),
  ];
}

function roleText({ role, scope, member, roleBinding }: HeldRole): string {
  const by = roleBinding === "" ? "by the rules of the provider" : `by role binding ${roleBinding}`;
  return `${role} in ${scope}, as ${member}, ${by}`;
}
