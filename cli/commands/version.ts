import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatusSchema,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { formatValue } from "../output.ts";
import { clientVersion } from "../version.ts";

/** A silent server must not delay the version of the client for long. */
const SERVER_TIMEOUT_MS = 2000;

export function versionCommand(cli: CliContext): Command {
  const command = new Command("version").description(
    "show the version of this client and, if the server answers, that of the server",
  );
  withExamples(command, ["version", "version -o json"]);
  return command.action(async () => {
    const server = await askServer(cli);
    const facts = { client: clientVersion(), ...server };
    const format = cli.format();
    if (format !== "table" && format !== "wide" && format !== "name") {
      cli.io.stdout.print(await formatValue(format, facts));
      return;
    }
    for (const [name, value] of Object.entries(facts)) cli.io.stdout.print(`${name}: ${value}\n`);
  });
}

async function askServer(cli: CliContext) {
  const { baseUrl } = await cli.connection();
  try {
    const transport = await cli.transport();
    const timeoutMs = cli.flags().timeout ?? SERVER_TIMEOUT_MS;
    const request = create(HealthCheckRequestSchema);
    const answer = await transport.unary(
      Health.method.check,
      cli.signal,
      timeoutMs,
      undefined,
      request,
    );
    const status = HealthCheckResponse_ServingStatusSchema.value[answer.message.status]?.name;
    const version = answer.header.get("n0-version") ?? "not told";
    return { server: version, endpoint: baseUrl, health: status ?? "UNKNOWN" };
  } catch (reason) {
    const why = ConnectError.from(reason).rawMessage;
    return { server: `does not answer (${why})`, endpoint: baseUrl };
  }
}
