import type { JsonValue } from "@bufbuild/protobuf";
import { Command } from "commander";
import { callUnary } from "./call.ts";
import type { CliContext } from "./context.ts";
import type { FlagValues } from "./convert/flags.ts";
import { flagTexts, optionsOf, requestFromFlags } from "./convert/flags.ts";
import { CliError } from "./errors.ts";
import { withExamples } from "./examples.ts";
import { messageToJson, printList, printMessage } from "./output.ts";
import { type Kind, otherNames } from "./resource/kind.ts";
import type { Resource } from "./resource/resource.ts";
import { getMethod, listMethod, recordField } from "./resource/resource.ts";
import type { Row } from "./table.ts";
import { textOf } from "./table.ts";
import { watchRecords } from "./watch.ts";

/** The page size of each request if the user sets none. The pages are printed as one list. */
const PAGE_SIZE = 1000;

/** `n0cli vm get [name]`, or `n0cli get vm [name]` if the command has the name of its resource. */
export function getCommand(cli: CliContext, resource: Resource, name = "get"): Command {
  const command = new Command(name)
    .aliases(name === "get" ? [] : otherNames(resource))
    .description(getSummary(resource))
    .argument("[name]")
    .option("-w, --watch", "keep printing changes");
  for (const field of listMethod(resource).input.fields) {
    for (const option of optionsOf(field)) command.addOption(option);
  }
  const words = name === "get" ? `${resource.name} get` : `get ${resource.name}`;
  withExamples(command, [
    words,
    `${words} NAME -o yaml`,
    `${words} -l KEY=VALUE`,
    `${words} --watch`,
  ]);
  return command.action(async (wanted: string | undefined, flags: FlagValues) => {
    if (flags["watch"] === true) return await watchRecords(cli, resource, wanted, flags);
    if (wanted !== undefined) return await showOne(cli, resource, wanted, flags);
    return await showAll(cli, resource, flags);
  });
}

export function getSummary(kind: Kind): string {
  return `show one ${kind.name} or all`;
}

async function showOne(
  cli: CliContext,
  resource: Resource,
  name: string,
  flags: FlagValues,
): Promise<void> {
  if (name === "") throw new CliError("the name is empty; leave it out to see all of them");
  const method = getMethod(resource);
  const request = requestFromFlags(method.input, flags, { name });
  await printMessage(cli, method.output, await callUnary(cli, method, request));
}

async function showAll(cli: CliContext, resource: Resource, flags: FlagValues): Promise<void> {
  const method = listMethod(resource);
  const isPaged = (flags["page_size"] ?? flags["pageSize"]) !== undefined;
  const field = recordField(resource, method.output);
  const asked = flagTexts(method.input, flags).filter((text) => !text.startsWith("--page_size "));
  const records: JsonValue[] = [];
  for (let token = ""; ; ) {
    const next = token === "" ? {} : { page_token: token };
    const fixed = isPaged ? {} : { page_size: PAGE_SIZE, ...next };
    const answer = await callUnary(cli, method, requestFromFlags(method.input, flags, fixed));
    const page = messageToJson(method.output, answer) as Row;
    if (isPaged) return await printList(cli, resource, field, page, asked);
    records.push(...((page[field] ?? []) as readonly JsonValue[]));
    token = textOf(page["next_page_token"]);
    if (token === "") break;
  }
  await printList(cli, resource, field, records.length === 0 ? {} : { [field]: records }, asked);
}
