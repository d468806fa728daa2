import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import { GetNodeRequestSchema, NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import {
  CreateJoinTokenRequestSchema,
  type CreateJoinTokenResponse,
  JoinService,
} from "../../src/gen/n0stack/pool/v1alpha1/join_pb.ts";
import { parseDuration } from "../../src/util/duration.ts";
import { isLoopback } from "../../src/util/loopback.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { formatValue, messageToJson } from "../output.ts";
import { rpcCommand } from "../rpc-command.ts";

const EXPIRES = "how long it works, from 1m to 7d (default: 1h)";

interface Flags {
  readonly node?: string;
  readonly expires?: string;
}

/** The commands about tokens with which nodes join. */
export function joinCommands(cli: CliContext): readonly Command[] {
  return [
    joinTokenCommand(cli),
    rejoinCommand(cli),
    rpcCommand(cli, {
      name: "join-tokens",
      method: JoinService.method.listJoinTokens,
      args: [],
      summary: "show the tokens with which nodes can join, and who has used them",
      examples: ["node join-tokens"],
    }),
    rpcCommand(cli, {
      name: "revoke-join-token",
      method: JoinService.method.revokeJoinToken,
      args: ["id"],
      summary: "delete a join token; a node that has joined with it stays",
      examples: ["node revoke-join-token 0f3a9c51d2e7"],
    }),
  ];
}

function joinTokenCommand(cli: CliContext): Command {
  const command = new Command("join-token")
    .description("print the command with which a new node joins; it works once")
    .option("--node <name>", "only this node; must be given for a node that exists already")
    .option("--expires <duration>", EXPIRES);
  withExamples(command, ["node join-token", "node join-token --node rack1-3 --expires 1d"]);
  return command.action(async ({ node = "", expires }: Flags) => {
    await printToken(cli, node, expires);
  });
}

/** The same, for a node that has lost its certificate. */
function rejoinCommand(cli: CliContext): Command {
  const command = new Command("rejoin")
    .description("print the command with which a node that exists joins again; it works once")
    .argument("<name>")
    .option("--expires <duration>", EXPIRES);
  withExamples(command, ["node rejoin rack1-3"]);
  return command.action(async (name: string, { expires }: Flags) => {
    await callUnary(cli, NodeService.method.getNode, create(GetNodeRequestSchema, { name }));
    await printToken(cli, name, expires);
  });
}

async function printToken(cli: CliContext, node: string, expires?: string): Promise<void> {
  const expiresMs = expires === undefined ? undefined : parseDuration(expires);
  if (expires !== undefined && expiresMs === undefined) {
    throw new CliError("--expires: must be a duration such as 30m, 1h or 7d");
  }
  const request = create(CreateJoinTokenRequestSchema, {
    nodeName: node,
    ...(expiresMs === undefined ? {} : { expiresIn: durationFromMs(expiresMs) }),
  });
  const method = JoinService.method.createJoinToken;
  const answer = await callUnary(cli, method, request);
  const { output } = cli.flags();
  if (output === "json" || output === "yaml" || output === "jsonl") {
    cli.io.stdout.print(await formatValue(output, messageToJson(method.output, answer)));
    return;
  }
  const { baseUrl } = await cli.connection();
  cli.io.stdout.print(`${commandOf(answer, node, baseUrl)}\n`);
  const where = node === "" ? "the new node" : `node ${node}`;
  const again = node === "" ? ", so run the command for each node" : "";
  cli.say(`Run this as root on ${where}. It works once${again}.`);
}

/** Names the API as this user does, because the way through his network is known to be open. */
function commandOf(
  { token, apiEndpoint }: CreateJoinTokenResponse,
  node: string,
  baseUrl: string,
): string {
  const { protocol, hostname } = new URL(baseUrl);
  const isForOthers = protocol === "https:" && !isLoopback(hostname);
  return [
    "n0core serve agent",
    ...(node === "" ? [] : [`--name ${node}`]),
    `--join ${token}`,
    `--node-api-endpoint ${isForOthers ? baseUrl : apiEndpoint}`,
  ].join(" ");
}
