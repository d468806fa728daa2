import type { Stored } from "../../../datastore/records.ts";
import type { SurveyedCapacity } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Node } from "../../../gen/n0stack/pool/v0/node_pb.ts";
import { notFound } from "../../../util/errors.ts";
import { formatRef, nodeRef, type Ref } from "../../../util/ref.ts";
import { defineAudit } from "../../core/audit/audit.ts";
import { type Codes, type SharedCode, sharedCodes } from "../../core/audit/codes.ts";
import type { Finding as FindingOf, Repair } from "../../core/audit/finding.ts";
import { tracesOfNobody } from "../../core/audit/shared.ts";
import { listWanted, type View } from "../../core/audit/view.ts";
import type { Api } from "../context.ts";
import {
  type Amounts,
  capacityOf,
  DIMENSIONS,
  type Dimension,
  NOTHING,
  sum,
  toAmounts,
} from "../inventory/amounts.ts";
import { nodeOfCompute, nodeOfStorage } from "../inventory/audit.ts";
import { allocations, type Counted, computes, storages } from "../inventory/collection.ts";
import { heartbeats, nodes } from "./collection.ts";

const codes = {
  "node.unreachable": {
    rank: 10,
    severity: "error",
    means: "the node does not answer, so verify cannot see what is on it",
    byHand:
      "start its agent; or, if the node will never come back, run n0cli node lost with its name",
  },
  "node.capacity_differs": {
    rank: 20,
    severity: "warning",
    means: "the node is registered with another capacity than its agent reports",
    repair: "the record takes the capacity that the agent reports",
  },
  "node.overcommitted": {
    rank: 30,
    severity: "warning",
    means: "more is reserved on the node than it has",
    byHand: "delete something there, or move block storages to another node",
  },
} as const satisfies Codes;

type Finding = FindingOf<keyof typeof codes | SharedCode, Api>;

export const nodeAudit = defineAudit({
  codes: { ...codes, ...sharedCodes },
  compare: async (view: View<Api>) => compareNodes(view),
});

/** Checks the nodes themselves, and whether they answered. */
function compareNodes(view: View): Finding[] {
  return [
    ...view.answers.flatMap((answer) =>
      "error" in answer ? [unreachable(answer.nodeName, answer.error)] : [],
    ),
    ...capacities(view),
    ...overcommitted(view),
    ...[allocations, heartbeats].flatMap((of) => tracesOfNobody(view, of, nodes)),
  ];
}

function unreachable(nodeName: string, error: string): Finding {
  const ref = nodeRef(nodeName);
  const about = { resource: formatRef(ref), nodeName, keys: [nodes.key(ref)] };
  return { code: "node.unreachable", expected: "an answer", found: error, ...about };
}

function capacities({ answers, records }: View): Finding[] {
  return answers.flatMap((answer) => {
    const there = "survey" in answer ? answer.survey.capacity : undefined;
    const ref = nodeRef(answer.nodeName);
    const node = records.find(nodes, ref)?.value;
    if (there === undefined || node === undefined) return [];
    const text = (of: typeof there | typeof node) =>
      `${of.cpuMilliCores} mCPU, ${of.memoryBytes} bytes of memory, ${of.storageBytes} of disk`;
    if (text(there) === text(node)) return [];
    return [
      {
        code: "node.capacity_differs",
        resource: formatRef(ref),
        nodeName: ref.name,
        expected: text(there),
        found: text(node),
        keys: [nodes.key(ref)],
        repair: takeCapacity(ref, there),
      },
    ];
  });
}

const UNITS: Readonly<Record<Dimension, string>> = {
  cpuMilliCores: "mCPU",
  memoryBytes: "bytes of memory",
  storageBytes: "bytes of disk",
};

function overcommitted(view: View): Finding[] {
  return listWanted(view, nodes, nameOf).flatMap(({ key, value: node }) => {
    const reserved = reservedOn(view, node.name);
    const capacity = capacityOf(node);
    const over = DIMENSIONS.filter((dimension) => reserved[dimension] > capacity[dimension]);
    if (over.length === 0) return [];
    return [
      {
        code: "node.overcommitted",
        resource: formatRef(nodes.refOf(key)),
        nodeName: node.name,
        expected: over.map((one) => `at most ${capacity[one]} ${UNITS[one]}`).join(", "),
        found: over.map((one) => `${reserved[one]} ${UNITS[one]} reserved`).join(", "),
        keys: [key],
      },
    ];
  });
}

function nameOf({ value }: Stored<Node>): string {
  return value.name;
}

function reservedOn({ records }: View, nodeName: string): Amounts {
  const reserved: readonly { readonly value: { readonly counted: Counted } }[] = [
    ...(records.by(computes, nodeOfCompute).get(nodeName) ?? []),
    ...(records.by(storages, nodeOfStorage).get(nodeName) ?? []),
  ];
  return reserved.reduce((all, { value }) => sum(all, toAmounts(value.counted)), NOTHING);
}

function takeCapacity(ref: Ref, capacity: SurveyedCapacity): Repair {
  return async (tx) => {
    const { api, held } = tx.context;
    const stored = await api.records.find(nodes, ref);
    if (stored === undefined) throw notFound("node", ref.name);
    const { cpuMilliCores, memoryBytes, storageBytes } = capacity;
    const node = { ...stored.value, cpuMilliCores, memoryBytes, storageBytes };
    await tx.commit(held.put(nodes, ref, node, stored.value));
  };
}
