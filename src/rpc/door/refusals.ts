import type { Log, LogFields } from "../../util/log.ts";
import type { NodeServerRequest } from "../http.ts";

/** Why a server refused a caller before a call began. */
export type RefusalReason =
  | "no token"
  | "wrong token"
  | "token in a URL"
  | "certificate"
  | "host"
  | "origin"
  | "cross-site"
  | "request"
  | "connections";

/** The details of a refusal in the log. */
export interface RefusalFacts {
  readonly peer: string;
  readonly [fact: string]: string | undefined;
}

/** Logs refusals, with a rate limit, so that no number of clients can fill the log. */
export interface Refusals {
  note(why: RefusalReason, facts: RefusalFacts): void;
}

/** Learns of every refusal, also of those that are not logged. */
export type OnRefused = (why: RefusalReason, facts: RefusalFacts) => void;

const LINES_PER_SECOND_MAX = 10;
const FACT_LENGTH_MAX = 100;

/** Writes at most ten lines a second; one more line counts the rest. */
export function newRefusals(log: Log, onRefused: OnRefused = () => {}): Refusals {
  const totals = new Map<RefusalReason, number>();
  let lines = 0;
  let untold = 0;
  let timer: NodeJS.Timeout | undefined;
  const endSecond = () => {
    timer = undefined;
    if (untold > 0) {
      log.warn("more were refused at the door", {
        count: untold,
        totals: Object.fromEntries(totals),
      });
    }
    lines = 0;
    untold = 0;
  };
  return {
    note: (why, facts) => {
      onRefused(why, facts);
      const total = (totals.get(why) ?? 0) + 1;
      totals.set(why, total);
      timer ??= setTimeout(endSecond, 1000).unref();
      lines += 1;
      if (lines > LINES_PER_SECOND_MAX) untold += 1;
      else write(log, why, { why, ...cutFacts(facts), total });
    },
  };
}

/** A request that is not a message more likely comes from a faulty client than from an attack. */
function write(log: Log, why: RefusalReason, fields: LogFields): void {
  if (why === "request") log.info("refused at the door", fields);
  else log.warn("refused at the door", fields);
}

function cutFacts(facts: RefusalFacts): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([key, text]) =>
      text === undefined ? [] : [[key, cutText(text)]],
    ),
  );
}

function cutText(text: string): string {
  return text.length > FACT_LENGTH_MAX ? `${text.slice(0, FACT_LENGTH_MAX)}…` : text;
}

/** What a request says about itself. */
export function factsOf(
  request: Pick<NodeServerRequest, "socket" | "headers" | "url">,
): RefusalFacts {
  const { headers, socket, url } = request;
  return {
    peer: socket.remoteAddress ?? "",
    path: url?.split("?", 1)[0],
    host: String(headers[":authority"] ?? headers.host ?? ""),
    origin: headers.origin,
  };
}
