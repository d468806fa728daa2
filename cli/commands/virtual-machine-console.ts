import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  OpenConsoleRequestSchema,
  VirtualMachineService,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import {
  AttachSerialRequestSchema,
  ConsoleService,
} from "../../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { callStream, callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import type { Input } from "../io.ts";

export function consoleCommand(cli: CliContext): Command {
  const command = new Command("open_console")
    .alias("console")
    .description("print a URL that shows the screen in a browser, or attach to the serial console")
    .argument("<name>")
    .option("--serial", "attach this terminal to the serial console; Ctrl-] detaches");
  withExamples(command, ["vm console web-1", "vm console web-1 --serial"]);
  return command.action(async (name: string, flags: { serial?: true }) => {
    if (flags.serial === true) return await attachSerial(cli, name);
    const request = create(OpenConsoleRequestSchema, { name });
    const answer = await callUnary(cli, VirtualMachineService.method.openConsole, request);
    cli.io.stdout.print(`${answer.consoleUrl}\n`);
  });
}

/** Ctrl-], as in telnet and virsh. */
const ESCAPE = 0x1d;

async function attachSerial(cli: CliContext, name: string): Promise<void> {
  const detach = new AbortController();
  const signal = AbortSignal.any([detach.signal, cli.signal]);
  const method = ConsoleService.method.attachSerial;
  if (cli.io.stdin.isTerminal) cli.say(`Attached to ${name}; Ctrl-] detaches.`);
  const restore = cli.io.stdin.makeRaw();
  try {
    const typed = typedMessages(name, cli.io.stdin, () => detach.abort());
    for await (const { data } of await callStream(cli, method, typed, signal)) {
      await cli.io.stdout.send(data);
    }
  } catch (reason) {
    if (!detach.signal.aborted) throw reason;
  } finally {
    restore();
    if (cli.io.stdin.isTerminal) cli.say("\r\nDetached.");
  }
}

async function* typedMessages(virtualMachineName: string, stdin: Input, detach: () => void) {
  yield create(AttachSerialRequestSchema, { virtualMachineName });
  for await (const chunk of stdin.chunks()) {
    const escape = stdin.isTerminal ? chunk.indexOf(ESCAPE) : -1;
    const data = escape < 0 ? chunk : chunk.subarray(0, escape);
    if (data.length > 0) yield create(AttachSerialRequestSchema, { data });
    if (escape >= 0) return detach();
  }
}
