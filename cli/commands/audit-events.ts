import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Command, InvalidArgumentError, Option } from "commander";
import {
  type AuditEvent,
  AuditEvent_Kind,
  AuditEventSchema,
  AuditService,
  ListAuditEventsRequestSchema,
  ListAuditEventsResponseSchema,
} from "../../src/gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { formatValue, messageToJson } from "../output.ts";
import { groupCommand } from "../rpc-command.ts";
import { type Column, cell, formatTable, type Row } from "../table.ts";
import { parseSince, timeText } from "../transaction/time.ts";
import { phaseText } from "../transaction/words.ts";
import { countFlag } from "./tx-list.ts";

const LIMIT_DEFAULT = 100;
const PAGE_SIZE_MAX = 1000;

const KINDS: Readonly<Record<string, AuditEvent_Kind>> = {
  change: AuditEvent_Kind.CHANGE,
  sign_in: AuditEvent_Kind.SIGN_IN,
  refusal: AuditEvent_Kind.REFUSAL,
};

interface Flags {
  readonly since?: string;
  readonly until?: string;
  readonly principal?: string;
  readonly kind?: readonly AuditEvent_Kind[];
  readonly scope?: string;
  readonly limit?: number;
}

export function auditCommand(cli: CliContext) {
  return groupCommand(
    ["audit"],
    "who did what, who signed in, and who was refused",
    [listCommand(cli)],
    EXAMPLES,
  );
}

const EXAMPLES = [
  "audit list --since 1d",
  "audit list --since 7d --principal user/alice --project acme",
  "audit list --kind refusal --scope system -o wide",
  "audit list --since 1d --scope system -o jsonl",
];

function listCommand(cli: CliContext): Command {
  const command = new Command("list")
    .alias("ls")
    .description("list changes, sign-ins and refusals, the newest first")
    .option("--since <time>", "only what began since then, such as 24h, 7d or 2026-11-21T15:30:00Z")
    .option("--until <time>", "only what began before then")
    .option("--principal <principal>", "only of this principal, such as user/alice or nobody")
    .addOption(
      new Option("--kind <kind>", "only of this kind; may be repeated")
        .choices(Object.keys(KINDS))
        .argParser((text: string, before: readonly AuditEvent_Kind[] | undefined) => [
          ...(before ?? []),
          chosen(text),
        ]),
    )
    .option("--scope <place>", "system, domain/NAME or project/NAME (default: the project)")
    .option(
      "--limit <count>",
      "at most this many, 0 for all; 100 unless --since is given",
      countFlag,
    );
  withExamples(command, EXAMPLES);
  return command.action(async (flags: Flags) => await list(cli, flags));
}

/** commander does not check the choices of an option with an argParser. */
function chosen(text: string): AuditEvent_Kind {
  const kind = KINDS[text];
  if (kind !== undefined) return kind;
  throw new InvalidArgumentError(`Allowed choices are ${Object.keys(KINDS).join(", ")}.`);
}

async function list(cli: CliContext, flags: Flags): Promise<void> {
  const filter = filterOf(cli, flags);
  const limit = flags.limit ?? (flags.since === undefined ? LIMIT_DEFAULT : 0);
  const { listAuditEvents } = AuditService.method;
  const found: AuditEvent[] = [];
  let pageToken = "";
  do {
    const missing = limit === 0 ? PAGE_SIZE_MAX : limit - found.length;
    const pageSize = Math.min(missing, PAGE_SIZE_MAX);
    const request = create(ListAuditEventsRequestSchema, { ...filter, pageSize, pageToken });
    const page = await callUnary(cli, listAuditEvents, request);
    found.push(...page.events);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && (limit === 0 || found.length < limit));
  await print(cli, found);
  if (pageToken !== "")
    cli.say("There are more: --limit 0 shows all, --since 24h those of the last day.");
}

function filterOf(
  cli: CliContext,
  { since, until, principal = "", kind = [], scope = "" }: Flags,
): MessageInitShape<typeof ListAuditEventsRequestSchema> {
  const time = (text: string) =>
    timestampFromDate(new Date(parseSince(text, cli.io.clock.nowMs())));
  return {
    scope,
    principal,
    kinds: [...kind],
    ...(since === undefined ? {} : { since: time(since) }),
    ...(until === undefined ? {} : { until: time(until) }),
  };
}

const COLUMNS: readonly Column[] = [
  cell("time"),
  cell("who"),
  cell("what"),
  cell("where"),
  cell("result"),
  { ...cell("times"), isRare: true },
  cell("from"),
  { ...cell("token"), isWide: true },
  { ...cell("last"), isWide: true },
  { ...cell("id"), isWide: true },
  { ...cell("error"), isWide: true },
];

async function print(cli: CliContext, events: readonly AuditEvent[]): Promise<void> {
  const format = cli.format();
  const { stdout } = cli.io;
  if (format === "json" || format === "yaml") {
    const answer = create(ListAuditEventsResponseSchema, { events: [...events] });
    stdout.print(await formatValue(format, messageToJson(ListAuditEventsResponseSchema, answer)));
  } else if (format === "jsonl") {
    for (const one of events) {
      stdout.print(await formatValue(format, messageToJson(AuditEventSchema, one)));
    }
  } else if (format === "name") stdout.print(events.map(({ id }) => `${id}\n`).join(""));
  else if (events.length === 0) cli.say("No event matches.");
  else stdout.print(formatTable(COLUMNS, format === "wide", events.map(rowOf)));
}

function rowOf(event: AuditEvent): Row {
  const { asker, count } = event;
  return {
    time: timeText(event.time),
    who: asker?.principal ?? "",
    what: whatOf(event),
    where: event.place,
    result: resultOf(event),
    times: count > 1 ? count : "",
    from: asker?.peer ?? "",
    token: asker?.tokenId ?? "",
    last: timeText(event.lastTime),
    id: event.id,
    error: event.error,
  };
}

function whatOf({ kind, rpc, resources, permission, credential }: AuditEvent): string {
  const about = resources[0] ?? "";
  if (kind === AuditEvent_Kind.CHANGE) return `${rpc} ${about}`;
  const signIn = credential === "" ? "" : `sign-in by ${credential}`;
  return [permission, signIn, about].filter((text) => text !== "").join(" ");
}

function resultOf({ kind, phase, reason, expiresAt, cancelledBy }: AuditEvent): string {
  if (kind === AuditEvent_Kind.REFUSAL) return `refused: ${reason}`;
  if (kind === AuditEvent_Kind.SIGN_IN) {
    return expiresAt === undefined ? "signed in" : `until ${timeText(expiresAt)}`;
  }
  const by = cancelledBy === undefined ? "" : `, cancelled by ${cancelledBy.principal}`;
  return `${phaseText(phase)}${by}`;
}
