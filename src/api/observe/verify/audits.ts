import type { Audit } from "../../core/audit/audit.ts";
import type { CodeFacts, Codes } from "../../core/audit/codes.ts";
import { markAudit } from "../../core/audit/marks.ts";
import { referenceAudit } from "../../core/audit/references.ts";
import type { InterfaceUser } from "../../core/audit/view.ts";
import type { Resource } from "../../core/resource/resource.ts";
import type { Api } from "../../provisioning/context.ts";
import { transactionAudit } from "../transaction/audit.ts";

/** All audits. */
export interface Audits {
  readonly all: readonly Audit<Api>[];
  /** The codes of all findings, in the order in which findings are shown and repaired. */
  readonly codes: Codes;
  /** By kind. */
  readonly interfaceUsers: ReadonlyMap<string, InterfaceUser<Api>>;
}

export function auditsOf(resources: readonly Pick<Resource<Api>, "kind" | "audit">[]): Audits {
  const ofAll = [markAudit, referenceAudit, transactionAudit];
  const all = [...resources.flatMap(({ audit }) => audit ?? []), ...ofAll];
  const codes = new Map(all.flatMap((audit) => Object.entries(audit.codes)));
  const users = resources.flatMap(({ kind, audit }) =>
    audit?.interfaces === undefined ? [] : [[kind, audit.interfaces] as const],
  );
  return {
    all,
    codes: Object.fromEntries([...codes].sort(([, a], [, b]) => a.rank - b.rank)),
    interfaceUsers: new Map(users),
  };
}

export function factsOf({ codes }: Audits, code: string): CodeFacts {
  const facts = codes[code];
  if (facts === undefined) throw new Error(`no audit has the code "${code}"`);
  return facts;
}
