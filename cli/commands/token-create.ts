import { createHash, randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import {
  CreateTokenRequestSchema,
  TokenService,
} from "../../src/gen/n0stack/iam/v1alpha1/token_pb.ts";
import { parseDuration } from "../../src/util/duration.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { formatValue, messageToJson } from "../output.ts";
import { rpcCommand } from "../rpc-command.ts";

interface Flags {
  readonly description?: string;
  readonly principal?: string;
  readonly onlyProject?: string;
  readonly roles?: string;
  readonly expires?: string;
}

export function tokenCommands(cli: CliContext): readonly Command[] {
  return [
    createCommand(cli),
    rpcCommand(cli, {
      name: "revoke",
      method: TokenService.method.deleteToken,
      args: ["name"],
      summary: "revoke a token, which ends all streams that it has opened",
      examples: ["token revoke 0f3a9c51d2e7b648"],
    }),
  ];
}

function createCommand(cli: CliContext): Command {
  const command = new Command("create")
    .description("make a token and print it, once; the API never has it, only a hash")
    .option("--description <text>", "what it is for")
    .option(
      "--principal <member>",
      "who calls with it: user/NAME or service_account/PROJECT/NAME (default: yourself)",
    )
    .option("--only-project <name>", "the only project in which it works")
    .option("--roles <names>", "it allows only what one of these roles allows, separated by commas")
    .option("--expires <duration>", "how long it works, such as 12h or 30d (default: 90d)");
  withExamples(command, [
    "token create --description laptop",
    "token create --principal service_account/acme/ci --only-project acme --roles member --expires 30d",
  ]);
  return command.action(async (flags: Flags) => {
    const secret = randomBytes(32).toString("base64url");
    const hash = createHash("sha256").update(secret).digest();
    const { method } = TokenService;
    const request = create(CreateTokenRequestSchema, {
      secretSha256: hash,
      description: flags.description ?? "",
      principal: flags.principal ?? "",
      project: flags.onlyProject ?? "",
      roles: flags.roles?.split(",") ?? [],
      ...expiry(flags.expires),
    });
    const answer = await callUnary(cli, method.createToken, request);
    const text = `n0_${answer.token?.name}_${secret}`;
    const { output } = cli.flags();
    if (output === "json" || output === "yaml" || output === "jsonl") {
      const shown = Object.assign(
        { secret: text },
        messageToJson(method.createToken.output, answer),
      );
      cli.io.stdout.print(await formatValue(output, shown));
      return;
    }
    cli.io.stdout.print(`${text}\n`);
    cli.say("This is shown only once. Keep it in a file that only you can read, for --token-file.");
  });
}

function expiry(text: string | undefined) {
  if (text === undefined) return {};
  const ms = parseDuration(text);
  if (ms === undefined) throw new CliError("--expires: must be a duration such as 12h or 30d");
  return { expiresIn: durationFromMs(ms) };
}
