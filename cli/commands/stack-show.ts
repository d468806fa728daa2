import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  type CheckStackResponse,
  CheckStackResponseSchema,
  ReadStackHistoryRequestSchema,
  ReadStackHistoryResponseSchema,
  ReadStackVersionRequestSchema,
  type StackObject,
  StackService,
  StackObject_State as State,
} from "../../src/gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { formatValue, messageToJson, printMessage } from "../output.ts";
import { checkStack, driftLines, isMoved } from "../stack/drift.ts";
import { type Column, cell, formatTable } from "../table.ts";

const { method } = StackService;

export function showCommand(cli: CliContext): Command {
  const command = new Command("show")
    .description(
      "show the objects of a stack, and what somebody has changed of them since; exit with 3 if that is anything",
    )
    .argument("<name>");
  withExamples(command, ["stack show lab", "stack show lab -o json"]);
  return command.action(async (name: string) => {
    const answer = await checkStack(cli, name);
    const format = cli.format();
    if (format === "table" || format === "wide") cli.io.stdout.print(textOf(answer));
    else await printMessage(cli, CheckStackResponseSchema, answer);
    if (answer.objects.some(isMoved)) cli.exitCode = EXIT.findings;
  });
}

function textOf({ stack, objects }: CheckStackResponse): string {
  const { name, version, changedBy, changedIn } = stack ?? {};
  const head = `stack ${name}, version ${version}, by ${changedBy} in transaction ${changedIn}\n`;
  const lines = objects.flatMap((one) => [
    `  ${one.kind}/${one.name}${one.found ? " (was there before the stack)" : ""}${stateText(one)}`,
    ...driftLines(one).map((line) => `      ${line}`),
  ]);
  return `${head}${lines.map((line) => `${line}\n`).join("")}`;
}

function stateText({ state }: StackObject): string {
  if (state === State.CHANGED) return ": somebody has changed it";
  return state === State.GONE ? ": it is gone" : "";
}

const VERSIONS: readonly Column[] = [
  cell("version"),
  cell("changed_at"),
  cell("changed_by"),
  { ...cell("transaction_id"), header: "TRANSACTION" },
  { ...cell("parameters"), isRare: true },
];

export function historyCommand(cli: CliContext): Command {
  const command = new Command("history")
    .description(
      "list the changes of a stack, the last one first; or print the file of one of them",
    )
    .argument("<name>")
    .option("--file <version>", "print the file of this version, as its user wrote it");
  withExamples(command, ["stack history lab", "stack history lab --file 2 > lab.yaml"]);
  return command.action(async (name: string, { file }: { readonly file?: string }) => {
    if (file !== undefined) {
      if (!/^[1-9]\d{0,8}$/.test(file)) throw new CliError("--file takes the number of a version");
      const request = create(ReadStackVersionRequestSchema, { name, version: Number(file) });
      const answer = await callUnary(cli, method.readStackVersion, request);
      cli.io.stdout.print(answer.file);
      return;
    }
    const request = create(ReadStackHistoryRequestSchema, { name });
    const answer = await callUnary(cli, method.readStackHistory, request);
    const json = messageToJson(ReadStackHistoryResponseSchema, answer);
    const format = cli.format();
    if (format === "table" || format === "wide") {
      const { versions = [] } = json as { versions?: [] };
      cli.io.stdout.print(formatTable(VERSIONS, format === "wide", versions));
    } else cli.io.stdout.print(await formatValue(format, json));
  });
}
