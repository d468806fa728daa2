import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  JsonValue,
} from "@bufbuild/protobuf";
import { Command } from "commander";
import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import { callStream, callUnary, only } from "../call.ts";
import type { CliContext } from "../context.ts";
import { messageFromJson } from "../convert/flags.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { readAll } from "../input.ts";
import { formatValue, messageToJson } from "../output.ts";
import { groupCommand } from "../rpc-command.ts";
import { servedMethods } from "../served.ts";
import { knownServices } from "../services.ts";

export function apiCommand(cli: CliContext): Command {
  const commands = [callCommand(cli), listCommand(cli)];
  const examples = ["api list", "api call NodeService/ListNodes"];
  return groupCommand(["api"], "call any method of the API", commands, examples);
}

function callCommand(cli: CliContext): Command {
  const command = new Command("call")
    .description("call one method and print its answer")
    .argument("<Service/Method>")
    .argument(
      "[json]",
      "the request as JSON with proto field names; - reads it from standard input",
      "{}",
    );
  withExamples(command, [
    "api call NodeService/ListNodes",
    'api call VirtualMachineService/GetVirtualMachine \'{"name": "web-1"}\'',
    "api call n0stack.pool.v0.NetworkService/WatchNetworks | jq .network.name",
  ]);
  return command.action(async (path: string, text: string) => {
    const method = findMethod(await knownServices(cli.kinds), path);
    const json = parseJson(text === "-" ? await readAll(cli.io.stdin) : text);
    const request = messageFromJson(method.input, json);
    const asked = cli.flags().output;
    const print = async (answer: Awaited<ReturnType<typeof callUnary>>, isStream: boolean) => {
      const format = asked === "yaml" || asked === "jsonl" ? asked : isStream ? "jsonl" : "json";
      cli.io.stdout.print(await formatValue(format, messageToJson(method.output, answer)));
    };
    if (method.methodKind === "unary") {
      await print(await callUnary(cli, method as DescMethodUnary, request), false);
    } else if (method.methodKind === "server_streaming") {
      const answers = await callStream(cli, method as DescMethodServerStreaming, only(request));
      for await (const answer of answers) await print(answer, true);
    } else {
      throw new CliError(
        `${method.name} takes a stream of requests, which n0cli api call cannot send`,
      );
    }
  });
}

function listCommand(cli: CliContext): Command {
  const command = new Command("list").description("print the methods that the server serves");
  withExamples(command, ["api list"]);
  return command.action(async () => {
    const served = await servedMethods(cli);
    if (served === undefined) {
      cli.say(
        "The server does not tell what it serves. These are the methods that this client knows.",
      );
    }
    const known = await knownServices(cli.kinds);
    const paths = known.flatMap((s) => s.methods.map((m) => `${s.typeName}/${m.name}`));
    for (const path of served ?? paths) cli.io.stdout.print(`${path}\n`);
  });
}

/** The service by its full name, or by its last word if only one service has that. */
function findMethod(services: readonly DescService[], path: string): DescMethod {
  const [serviceName = "", methodName = "", ...rest] = path.replace(/^\//, "").split("/");
  if (methodName === "" || rest.length > 0) {
    throw new CliError(
      `${quote(path)} names no method: write Service/Method, such as NodeService/ListNodes (see n0cli api list)`,
    );
  }
  const service = services.find((s) => s.typeName === serviceName || s.name === serviceName);
  if (service === undefined) {
    const hint = didYouMean(
      serviceName,
      services.map((s) => s.name),
    );
    throw new CliError(`there is no service ${quote(serviceName)}${hint}: see n0cli api list`);
  }
  const method = service.methods.find((m) => m.name === methodName);
  if (method === undefined) {
    const names = service.methods.map((m) => m.name);
    const hint = didYouMean(methodName, names) || `; there are ${names.join(", ")}`;
    throw new CliError(`${service.name} has no method ${quote(methodName)}${hint}`);
  }
  return method;
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : "it cannot be read";
    throw new CliError(`the request is not JSON: ${why}`, undefined, reason);
  }
}
