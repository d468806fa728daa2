import { create } from "@bufbuild/protobuf";
import { Command, InvalidArgumentError } from "commander";
import {
  ConsoleService,
  ForwardRequestSchema,
} from "../../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { callStream } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import type { Input } from "../io.ts";
import { forTerminal } from "../terminal-text.ts";

export function forwardCommand(cli: CliContext): Command {
  const command = new Command("forward")
    .description("connect standard input and output to a TCP port of a virtual machine")
    .argument("<name>")
    .argument("<port>", "1 to 65535", parsePort)
    .option("--address <ip>", "one of the addresses of the virtual machine (default: the first)");
  withExamples(command, [
    "vm forward web-1 80 < request.txt",
    "vm forward web-1 22   # what vm ssh uses as the ProxyCommand",
  ]);
  return command.action(async (name: string, port: number, flags: { address?: string }) => {
    const requests = sentMessages(name, flags.address ?? "", port, cli.io.stdin);
    const method = ConsoleService.method.forward;
    const shown = forTerminal(cli.io.stdout);
    for await (const { data } of await callStream(cli, method, requests)) {
      await cli.io.stdout.send(shown(data));
    }
  });
}

/** Ends with standard input, and the guest then sees that half of its connection end. */
async function* sentMessages(
  virtualMachineName: string,
  address: string,
  port: number,
  stdin: Input,
) {
  yield create(ForwardRequestSchema, { virtualMachineName, address, port });
  for await (const data of stdin.chunks()) yield create(ForwardRequestSchema, { data });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) {
    throw new InvalidArgumentError("a port from 1 to 65535");
  }
  return port;
}
