import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import type {
  Finding,
  RepairResponse,
  VerifyResponse,
} from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import {
  RepairOutcomeSchema,
  RepairRequestSchema,
  RepairResponseSchema,
  VerifyRequestSchema,
  VerifyResponseSchema,
  VerifyService,
} from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { counted } from "../../src/util/counted.ts";
import { callStream, callUnary, only } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { formatValue, messageToJson } from "../output.ts";
import { type Column, cell, formatTable, type Row } from "../table.ts";

interface Flags {
  readonly node?: readonly string[];
  readonly plan?: boolean;
  readonly repair?: boolean;
}

const HELP = `
Exit codes: 0 everything is in order, 3 there are findings, 1 a node did not answer (the findings of the others are
shown nevertheless). After --repair, the findings that are left count. docs/operating/verify.md explains the
codes and what to do about each.
`;

export function verifyCommand(cli: CliContext): Command {
  const command = new Command("verify")
    .description("compare the nodes with the records; safe while the API serves requests")
    .option("--node <name...>", "only these nodes")
    .option("--plan", "only show what --repair would do")
    .option(
      "--repair",
      "repair what can be repaired without loss of data, each finding in its own transaction",
    )
    .addHelpText("after", HELP);
  withExamples(command, [
    "verify",
    "verify --plan",
    "verify --node node-1 --repair",
    "verify -o json",
  ]);
  return command.action(async ({ node = [], plan = false, repair = false }: Flags) => {
    if (repair && !plan) return await repairAll(cli, [...node]);
    const answer = await look(cli, [...node]);
    await print(cli, answer, plan);
    summarize(cli, answer);
  });
}

async function look(cli: CliContext, nodeNames: string[]): Promise<VerifyResponse> {
  const request = create(VerifyRequestSchema, { nodeNames });
  return await callUnary(cli, VerifyService.method.verify, request);
}

const FINDING_COLUMNS: readonly Column[] = [
  { ...cell("severity"), show: (value) => shortName(value, "SEVERITY_") },
  cell("code"),
  cell("resource"),
  { ...cell("node_name"), header: "NODE" },
  cell("found"),
  { ...cell("expected"), isWide: true },
];
const REPAIR: Column = { ...cell("repair"), header: "REPAIR" };
const BY: Column = {
  ...cell("is_repairable"),
  header: "BY",
  show: (value) => (value === true ? "verify" : "hand"),
};
const OUTCOME: Column = {
  ...cell("outcome"),
  show: (value) => shortName(value, "REPAIR_OUTCOME_"),
};

function shortName(value: unknown, prefix: string): string {
  return typeof value === "string" ? value.replace(prefix, "").toLowerCase() : "";
}

function isTable(cli: CliContext): boolean {
  return cli.format() === "table" || cli.format() === "wide";
}

async function print(cli: CliContext, answer: VerifyResponse, isPlan: boolean): Promise<void> {
  const { stdout } = cli.io;
  const json = messageToJson(VerifyResponseSchema, answer) as Row;
  const rows = (json["findings"] ?? []) as readonly Row[];
  const format = cli.format();
  if (format === "name") {
    stdout.print(answer.findings.map(({ code, resource }) => `${code} ${resource}\n`).join(""));
  } else if (format === "jsonl") {
    stdout.print(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  } else if (!isTable(cli)) {
    stdout.print(await formatValue(format, messageToJson(VerifyResponseSchema, answer)));
  } else if (rows.length > 0) {
    const columns = isPlan ? [...FINDING_COLUMNS, BY, REPAIR] : FINDING_COLUMNS;
    stdout.print(formatTable(columns, format === "wide", rows));
  }
}

/** A silent node decides the exit code before any finding: nobody knows what is on it. */
function summarize(cli: CliContext, { findings, nodes, ...counts }: VerifyResponse): void {
  const silent = nodes.filter(({ error }) => error !== "");
  for (const { nodeName, error } of silent) cli.say(`cannot look at node ${nodeName}: ${error}`);
  const seen = [
    `${nodes.length - silent.length} of ${counted(nodes.length, "node")}`,
    counted(counts.virtualMachines, "virtual machine"),
    counted(counts.blockStorages, "block storage"),
  ];
  cli.say(`Looked at ${seen.join(", ")}: ${wordsOf(findings)}.`);
  if (silent.length > 0) cli.exitCode = EXIT.failed;
  else if (findings.length > 0) cli.exitCode = EXIT.findings;
}

function wordsOf(findings: readonly Finding[]): string {
  if (findings.length === 0) return "everything is in order";
  const repairable = findings.filter(({ isRepairable }) => isRepairable).length;
  return `${counted(findings.length, "finding")}, of which n0cli verify --repair repairs ${repairable}`;
}

async function repairAll(cli: CliContext, nodeNames: string[]): Promise<void> {
  const request = create(RepairRequestSchema, { nodeNames });
  const { stdout } = cli.io;
  const answers: RepairResponse[] = [];
  const stream = await callStream(cli, VerifyService.method.repair, only(request));
  cli.interruptNotice =
    "Detached. The server finishes or unwinds the repair that it has begun: see n0cli verify.";
  for await (const answer of stream) {
    answers.push(answer);
    const { finding, outcome, error } = answer;
    const done = shortName(RepairOutcomeSchema.value[outcome]?.name, "REPAIR_OUTCOME_");
    const why = error === "" ? "" : `: ${error}`;
    if (isTable(cli)) cli.say(`---> ${finding?.code} ${finding?.resource}: ${done}${why}`);
  }
  const rows = answers.map((answer) => messageToJson(RepairResponseSchema, answer) as Row);
  const left = await look(cli, nodeNames);
  if (isTable(cli) && rows.length > 0) {
    const inside = FINDING_COLUMNS.map((column) => ({ ...column, path: `finding.${column.path}` }));
    const hint = { ...REPAIR, path: "finding.repair" };
    stdout.print(formatTable([OUTCOME, ...inside, hint], cli.format() === "wide", rows));
  } else if (cli.format() === "jsonl") {
    stdout.print(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  } else if (!isTable(cli)) {
    const whole = { repairs: rows, left: messageToJson(VerifyResponseSchema, left) };
    stdout.print(await formatValue(cli.format(), JSON.parse(JSON.stringify(whole))));
  }
  summarize(cli, left);
}
