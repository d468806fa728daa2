import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type Scan, scanHost } from "../../scripts/scan-host.ts";
import { ifThereSync } from "../../src/util/errno.ts";
import { isHistory } from "../history.ts";
import type { Cluster } from "./cluster.ts";
import { projectsAt, remoteReader } from "./remote.ts";

/** Each start of the API begins another session, so only their number is compared. */
const SESSION = /^session\//;
const OPEN = "transaction_open/";
const TRANSACTION_ID = /[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{4}/g;
/** The end of a volume's id, which differs for each volume. */
const VOLUME_ID = /\.[0-9a-f]{12}(?![0-9a-f])/g;
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
/** They hold times in binary. What the API shows of them has everything else, and the members of a stack. */
const TIMED =
  /^record (?:domain|image|network|project|replica|security_group|service_account|stack|token|user)\//;
/** Of a password. */
const SALTED = /\$argon2id\$[\w$+/=,]+|(?<=AtMs":)\d+/g;

/** Only silence makes a node NOT_READY. */
const READINESS = /^\/api\/nodes\/[^/]+\/state = (?:NOT_)?READY$/;

/** Everything in the cluster, one line for each thing, in order. */
export interface Look {
  readonly lines: readonly string[];
  readonly findings: readonly string[];
  /** Ids of transactions that are not at rest. */
  readonly open: readonly string[];
}

/** Ids of transactions that are not at rest. */
export function openTransactions(cluster: Cluster): string[] {
  const keys = readDatabase(cluster).map(({ key }) => key);
  return keys.filter((key) => key.startsWith(OPEN));
}

export async function look(cluster: Cluster): Promise<Look> {
  const { places, endpoint } = cluster;
  const scan: Scan = await scanHost(places, remoteReader(endpoint), await projectsAt(endpoint));
  const records = readDatabase(cluster);
  const kept = records.filter(({ key }) => !isHistory(key) && !key.startsWith(OPEN));
  return {
    lines: [
      ...flatten("", { hosts: scan.hosts, api: scan.records }).filter(
        (line) => !READINESS.test(line),
      ),
      ...kept.map(({ key, value }) =>
        SESSION.test(key) ? "record of a session" : `record ${key} = ${value}`,
      ),
    ],
    findings: scan.findings.map(({ code, what }) => `${code} ${what}`),
    open: records.filter(({ key }) => key.startsWith(OPEN)).map(({ key }) => key),
  };
}

/** The lines of one that the other lacks, as a diff; empty if both are equal. */
export function difference(from: Look, to: Look, isAnonymous: boolean): string[] {
  const prepare = ({ lines }: Look) =>
    (isAnonymous ? lines.filter((line) => !TIMED.test(line)).map(anonymous) : [...lines]).sort();
  const before = prepare(from);
  const after = prepare(to);
  return [
    ...without(before, after).map((line) => `- ${line}`),
    ...without(after, before).map((line) => `+ ${line}`),
  ];
}

/** The same, whoever did it and whenever. */
function anonymous(line: string): string {
  return line
    .replaceAll(TRANSACTION_ID, "<transaction>")
    .replaceAll(VOLUME_ID, ".<id>")
    .replaceAll(SALTED, "<other>")
    .replaceAll(TIME, "<time>");
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = counts.get(line) ?? 0;
    counts.set(line, count - 1);
    return count <= 0;
  });
}

function flatten(path: string, value: unknown): string[] {
  if (Array.isArray(value)) return [`${path} = ${value.map(inLine).join(" | ")}`];
  if (typeof value !== "object" || value === null) return [`${path} = ${inLine(value)}`];
  return Object.entries(value).flatMap(([key, inner]) => flatten(`${path}/${key}`, inner));
}

function inLine(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The server keeps its file for itself, so this reads a copy. It makes a torn copy again. */
function readDatabase({ database, folder }: Cluster): { key: string; value: string }[] {
  for (let tries = 1; ; tries++) {
    const copies = mkdtempSync(join(folder, "copy-"));
    try {
      return readCopy(database, join(copies, "copy.sqlite"));
    } catch (error) {
      if (tries === 5) throw error;
    } finally {
      rmSync(copies, { recursive: true });
    }
  }
}

function readCopy(database: string, copy: string): { key: string; value: string }[] {
  copyFileSync(database, copy);
  ifThereSync(() => copyFileSync(`${database}-wal`, `${copy}-wal`));
  const opened = new Database(copy);
  try {
    const rows = opened.prepare("SELECT key, value FROM record ORDER BY key").all() as {
      key: string;
      value: Uint8Array;
    }[];
    return rows.map(({ key, value }) => ({ key, value: Buffer.from(value).toString("latin1") }));
  } finally {
    opened.close();
  }
}
