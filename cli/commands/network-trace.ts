import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  NetworkTraceService,
  TraceNetworkRequestSchema,
  type TraceNetworkResponse,
  TraceNetworkResponseSchema,
  TraceVerdict as Verdict,
} from "../../src/gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { parseAddress } from "../../src/util/cidr.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { formatValue, messageToJson } from "../output.ts";
import { type Column, cell, formatTable, type Row } from "../table.ts";

interface Flags {
  readonly port?: string;
  readonly protocol?: string;
  readonly icmpType?: string;
  readonly ipVersion?: string;
  readonly sourceNic?: string;
  readonly destinationNic?: string;
  readonly recordsOnly?: boolean;
}

const HELP = `
Follows the first packet of a connection, and says at each place whether it passes and by which rule. It is computed
from the records; then the nodes are asked whether they are as the records say. No packet is sent.
DESTINATION is a virtual machine, or an IPv4 or IPv6 address. Without a port and a protocol, the packet is a ping.

Exit codes: 0 it passes, 3 something stops it, or the answer depends on what n0stack does not know.
`;

export function networkTraceCommand(cli: CliContext): Command {
  const command = new Command("trace")
    .description("say which rule, address or path stops a packet between two virtual machines")
    .argument("<source>", "a virtual machine")
    .argument("<destination>", "a virtual machine or an address")
    .option("--port <number>", "the port of the destination")
    .option("--protocol <name>", "tcp, udp, sctp, icmp, icmpv6 or a number; tcp if there is a port")
    .option("--icmp-type <type>", "for icmp and icmpv6: 8, or with its code 3/4")
    .option("--ip-version <4|6>", "IPv4 if both have it")
    .option("--source-nic <name>", "which nic of the source sends, such as web-10")
    .option("--destination-nic <name>", "which nic of the destination receives")
    .option("--records-only", "ask no node")
    .addHelpText("after", HELP);
  withExamples(command, [
    "network trace web-1 db-1 --port 5432",
    "network trace web-1 192.0.2.7 --port 443",
    "network trace web-1 db-1 --ip-version 6 --records-only -o json",
  ]);
  return command.action(async (source: string, destination: string, flags: Flags) => {
    const request = create(TraceNetworkRequestSchema, {
      source: { virtualMachineName: source, networkInterfaceName: flags.sourceNic ?? "" },
      destination: destinationOf(destination, flags),
      protocol: flags.protocol ?? "",
      port: numberOf("--port", flags.port),
      icmpType: flags.icmpType ?? "",
      ipVersion: numberOf("--ip-version", flags.ipVersion),
      recordsOnly: flags.recordsOnly ?? false,
    });
    const answer = await callUnary(cli, NetworkTraceService.method.traceNetwork, request);
    await print(cli, answer);
    if (answer.verdict !== Verdict.PASSES) cli.exitCode = EXIT.findings;
  });
}

function destinationOf(text: string, { destinationNic = "" }: Flags) {
  const isAddress = ([4, 6] as const).some((family) => parseAddress(text, family) !== undefined);
  if (isAddress) return { address: text, networkInterfaceName: destinationNic };
  return { virtualMachineName: text, networkInterfaceName: destinationNic };
}

function numberOf(option: string, text = "0"): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new CliError(`${option}: "${text}" is not a number`, EXIT.wrongUse);
}

/** Of a verdict or a place. */
function wordOf(value: unknown): string {
  return String(value)
    .replace(/^(TRACE_VERDICT|PLACE)_/, "")
    .toLowerCase();
}

const COLUMNS: readonly Column[] = [
  { ...cell("verdict"), show: wordOf },
  { ...cell("place"), show: wordOf },
  { ...cell("node_name"), header: "NODE" },
  { ...cell("finding_code"), header: "CODE", isRare: true },
  cell("reason"),
];

async function print(cli: CliContext, answer: TraceNetworkResponse): Promise<void> {
  const { stdout } = cli.io;
  const json = messageToJson(TraceNetworkResponseSchema, answer) as Row;
  const rows = (json["steps"] ?? []) as readonly Row[];
  const format = cli.format();
  if (format === "table" || format === "wide") {
    stdout.print(formatTable(COLUMNS, format === "wide", rows));
    cli.say(WORDS[answer.verdict] ?? "");
  } else if (format === "name") stdout.print(`${wordOf(json["verdict"])}\n`);
  else if (format === "jsonl") {
    stdout.print(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  } else stdout.print(await formatValue(format, messageToJson(TraceNetworkResponseSchema, answer)));
}

const WORDS: Partial<Record<Verdict, string>> = {
  [Verdict.PASSES]: "The packet passes.",
  [Verdict.STOPS]: "The packet does not arrive.",
  [Verdict.UNKNOWN]: "Nothing stops the packet as far as n0stack knows.",
};
