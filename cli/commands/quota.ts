import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import {
  GetQuotaRequestSchema,
  type Quota,
  QuotaSchema,
  QuotaService,
  SetDomainQuotaRequestSchema,
  SetQuotaRequestSchema,
} from "../../src/gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { formatBytesRounded, parseBytes } from "../../src/util/bytes.ts";
import { quote } from "../../src/util/quote.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { printMessage } from "../output.ts";
import { cell, formatTable } from "../table.ts";

interface Flags {
  readonly domain?: string;
}

const COLUMNS = [cell("amount"), cell("used"), cell("limit")];
/** Short names of amounts. */
const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ["cpu", "cpu_milli_core"],
  ["memory", "memory_bytes"],
  ["disk", "disk_bytes"],
]);
const OF_DOMAIN = "that of a domain instead of the project";

/** `quota show` and `quota set`. */
export function quotaCommands(cli: CliContext): readonly Command[] {
  return [showCommand(cli), setCommand(cli)];
}

function showCommand(cli: CliContext): Command {
  const command = new Command("show")
    .description("show the limits and the use of the project")
    .option("--domain <name>", OF_DOMAIN);
  withExamples(command, ["quota show", "quota show --domain default"]);
  return command.action(async ({ domain }: Flags) => {
    const name = domain === undefined ? "" : `domain/${domain}`;
    const request = create(GetQuotaRequestSchema, { name });
    const { quota } = await callUnary(cli, QuotaService.method.getQuota, request);
    await printQuota(cli, quota!);
  });
}

function setCommand(cli: CliContext): Command {
  const command = new Command("set")
    .description("change limits of the project; `unlimited` removes one")
    .argument("<amount=limit...>", "such as cpu=8000, memory=64GiB or networks=unlimited")
    .option("--domain <name>", OF_DOMAIN);
  withExamples(command, [
    "quota set virtual_machines=20 cpu=40000 memory=64GiB disk=1TiB",
    "quota set networks=unlimited",
    "quota set --domain default addresses=200",
  ]);
  return command.action(async (pairs: readonly string[], { domain }: Flags) => {
    const changes = changesOf(pairs);
    const { method } = QuotaService;
    const { quota } =
      domain === undefined
        ? await callUnary(cli, method.setQuota, create(SetQuotaRequestSchema, changes))
        : await callUnary(
            cli,
            method.setDomainQuota,
            create(SetDomainQuotaRequestSchema, { ...changes, domain }),
          );
    await printQuota(cli, quota!);
  });
}

function changesOf(pairs: readonly string[]) {
  const limits: { [amount: string]: bigint } = {};
  const unlimited: string[] = [];
  for (const pair of pairs) {
    const [word = "", text, ...more] = pair.split("=");
    if (word === "" || text === undefined || more.length > 0) {
      throw new CliError(`${quote(pair)} is not AMOUNT=LIMIT, such as memory=64GiB`);
    }
    const amount = LONG_NAMES.get(word) ?? word;
    if (amount in limits || unlimited.includes(amount)) {
      throw new CliError(`${amount} is given twice`);
    }
    if (text === "unlimited") unlimited.push(amount);
    else limits[amount] = limitOf(amount, text);
  }
  return { limits, unlimited };
}

function limitOf(amount: string, text: string): bigint {
  if (/^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n) return BigInt(text);
  if (amount.endsWith("_bytes")) return parseBytes(text);
  throw new CliError(`${amount}=${text}: the limit must be a whole number or "unlimited"`);
}

/** As a table on a terminal: one line for each amount. */
async function printQuota(cli: CliContext, quota: Quota): Promise<void> {
  const format = cli.format();
  if (format !== "table" && format !== "wide") return await printMessage(cli, QuotaSchema, quota);
  const text = (amount: string, value: bigint | undefined) => {
    if (value === undefined) return "unlimited";
    return amount.endsWith("_bytes") ? formatBytesRounded(value) : String(value);
  };
  const rows = Object.entries(quota.used).map(([amount, used]) => ({
    amount,
    used: text(amount, used),
    limit: text(amount, quota.limits[amount]),
  }));
  cli.say(quota.name);
  cli.io.stdout.print(formatTable(COLUMNS, false, rows));
}
