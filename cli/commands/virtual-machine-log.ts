import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  ConsoleService,
  ReadSerialLogRequestSchema,
} from "../../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { callStream, only } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { forTerminal } from "../terminal-text.ts";

export function logCommand(cli: CliContext): Command {
  const command = new Command("log")
    .description("print the output of a virtual machine's serial console")
    .argument("<name>")
    .option("-f, --follow", "keep printing new output");
  withExamples(command, ["vm log web-1", "vm log web-1 -f"]);
  return command.action(async (virtualMachineName: string, flags: { follow?: true }) => {
    const follow = flags.follow === true;
    const request = create(ReadSerialLogRequestSchema, { virtualMachineName, follow });
    const method = ConsoleService.method.readSerialLog;
    const shown = forTerminal(cli.io.stdout);
    for await (const { data } of await callStream(cli, method, only(request))) {
      await cli.io.stdout.send(shown(data));
    }
  });
}
