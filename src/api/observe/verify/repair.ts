import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  RepairOutcome as Outcome,
  type RepairRequest,
  type RepairResponseSchema,
} from "../../../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Finding } from "../../core/audit/finding.ts";
import type { Call } from "../../core/context.ts";
import { runUnanswered } from "../../core/saga/saga.ts";
import type { Api } from "../../provisioning/context.ts";
import type { Audits } from "./audits.ts";
import { identityOf, locksOf } from "./identity.ts";
import { look, lookOnce } from "./look.ts";
import { findingToWire, scopeOf } from "./verify.ts";

/**
 * A repair may uncover a finding that the next pass repairs: a tap after its domain, a bridge before its taps.
 */
const PASSES_MAX = 5;

interface Dealt {
  readonly outcome: Outcome;
  readonly transactionId: string;
}

type Answer = MessageInitShape<typeof RepairResponseSchema>;

/**
 * Repairs each finding in a transaction of its own, until nothing is left that it can repair.
 *
 * @throws N0Error `not_found` for a node.
 */
export async function* repairAll(
  api: Api,
  audits: Audits,
  call: Call,
  request: RepairRequest,
): AsyncGenerator<Answer> {
  const scope = await scopeOf(api, call, request.nodeNames);
  const told = new Set<string>();
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const { findings } = await look(api, audits, scope);
    let repaired = 0;
    for (const finding of findings) {
      const identity = identityOf(finding);
      const answer = await repairOne(api, audits, call, finding);
      if (answer.outcome === Outcome.REPAIRED) repaired += 1;
      // Reported once, however often the finding appears.
      if (answer.outcome === Outcome.REPAIRED || !told.has(identity)) yield answer;
      told.add(identity);
    }
    if (repaired === 0) return;
  }
}

async function repairOne(api: Api, audits: Audits, call: Call, finding: Finding): Promise<Answer> {
  const wire = { finding: findingToWire(audits, finding) };
  if (finding.repair === undefined) return { ...wire, outcome: Outcome.LEFT };
  try {
    return { ...wire, ...(await runRepair(api, audits, call, finding)) };
  } catch (reason) {
    if (!(reason instanceof N0Error) || call.signal.aborted) throw reason;
    const { transactionId = "" } = reason.facts;
    return { ...wire, outcome: Outcome.FAILED, error: reason.message, transactionId };
  }
}

/** Looks again under the keys of the finding: by then it may be gone, or the work of another transaction. */
async function runRepair(api: Api, audits: Audits, call: Call, finding: Finding): Promise<Dealt> {
  const inner = { ...call, responseHeader: new Headers() };
  const options = { kind: "Repair", keys: locksOf(finding), seesToPending: true };
  return await runUnanswered(api, inner, options, async (tx) => {
    const { nodeName } = finding;
    const now = await lookOnce(api, audits, {
      nodeNames: new Set([nodeName]),
      except: tx.id,
      signal: tx.signal,
    });
    const same = now.findings.find((other) => identityOf(other) === identityOf(finding));
    const isHeld =
      same !== undefined && locksOf(same).every((key) => tx.context.held.keys.includes(key));
    if (!isHeld || same.repair === undefined) {
      await tx.commit({});
      return { outcome: Outcome.GONE, transactionId: tx.id };
    }
    await same.repair(tx);
    return { outcome: Outcome.REPAIRED, transactionId: tx.id };
  });
}
