import { keyText } from "../../../datastore/key.ts";
import { interfaceAllocations } from "../../network/interface/collection.ts";
import { networks } from "../../network/network/collection.ts";
import {
  type Amounts,
  capacityOf,
  DIMENSIONS,
  type Dimension,
  NOTHING,
  sum,
  toAmounts,
} from "../../pool/inventory/amounts.ts";
import { allocations, type Counted, computes, storages } from "../../pool/inventory/collection.ts";
import { heartbeats, nodes } from "../../pool/node/collection.ts";
import { ANY, type Finding } from "./finding.ts";
import { dropRecords, takeCapacity } from "./repair-records.ts";
import type { View } from "./view.ts";

/** The nodes themselves, and whether they answered. */
export function compareNodes(view: View): Finding[] {
  return [
    ...view.answers.flatMap((answer) =>
      "error" in answer ? [unreachable(answer.nodeName, answer.error)] : [],
    ),
    ...capacities(view),
    ...overcommitted(view),
    ...allocationsOfNobody(view),
    ...stuck(view),
  ];
}

function unreachable(nodeName: string, error: string): Finding {
  const resource = `node/${nodeName}`;
  const about = { resource, nodeName, keys: [nodes.key(nodeName)] };
  return { code: "node.unreachable", expected: "an answer", found: error, ...about };
}

function capacities({ answers, records }: View): Finding[] {
  return answers.flatMap((answer) => {
    const there = "survey" in answer ? answer.survey.capacity : undefined;
    const node = records.find(nodes, answer.nodeName)?.value;
    if (there === undefined || node === undefined) return [];
    const text = (of: typeof there | typeof node) =>
      `${of.cpuMilliCores} mCPU, ${of.memoryBytes} bytes of memory, ${of.storageBytes} of disk`;
    if (text(there) === text(node)) return [];
    return [
      {
        code: "node.capacity_differs",
        resource: `node/${node.name}`,
        nodeName: node.name,
        expected: text(there),
        found: text(node),
        keys: [nodes.key(node.name)],
        repair: takeCapacity(node.name, there),
      },
    ];
  });
}

const UNITS: Readonly<Record<Dimension, string>> = {
  cpuMilliCores: "mCPU",
  memoryBytes: "bytes of memory",
  storageBytes: "bytes of disk",
};

function overcommitted({ records, isWanted }: View): Finding[] {
  const used = new Map<string, Amounts>();
  for (const reserved of [computes, storages]) {
    for (const { key, value } of records.list<{ readonly counted: Counted }>(reserved)) {
      const nodeName = reserved.parts(key)[0] ?? "";
      used.set(nodeName, sum(used.get(nodeName) ?? NOTHING, toAmounts(value.counted)));
    }
  }
  return records.list(nodes).flatMap(({ value: node }) => {
    const reserved = used.get(node.name) ?? NOTHING;
    const capacity = capacityOf(node);
    const over = DIMENSIONS.filter((dimension) => reserved[dimension] > capacity[dimension]);
    if (over.length === 0 || !isWanted(node.name)) return [];
    return [
      {
        code: "node.overcommitted",
        resource: `node/${node.name}`,
        nodeName: node.name,
        expected: over.map((one) => `at most ${capacity[one]} ${UNITS[one]}`).join(", "),
        found: over.map((one) => `${reserved[one]} ${UNITS[one]} reserved`).join(", "),
        keys: [nodes.key(node.name)],
      },
    ];
  });
}

/** Records that others rest their conditions on, of a node or a network that is gone. */
function allocationsOfNobody({ records, isWanted }: View): Finding[] {
  if (!isWanted("")) return [];
  const kinds = [
    { of: allocations, owners: nodes },
    { of: heartbeats, owners: nodes },
    { of: interfaceAllocations, owners: networks },
  ] as const;
  return kinds.flatMap(({ of, owners }) =>
    records.list<unknown>(of).flatMap((stored) => {
      const name = of.parts(stored.key)[0] ?? "";
      if (records.find<unknown>(owners, name) !== undefined) return [];
      return [
        {
          code: "allocation.without_owner" as const,
          resource: keyText(owners.key(name)),
          nodeName: "",
          expected: "nothing",
          found: stored.key,
          // Reserving on it may be under way while it is being deleted.
          keys: [owners.key(name), ANY],
          repair: dropRecords([stored]),
        },
      ];
    }),
  );
}

function stuck({ records, isWanted }: View): Finding[] {
  if (!isWanted("")) return [];
  return records.open.flatMap(({ id, kind, state, error = "", guards }) =>
    state !== "needs_operator"
      ? []
      : [
          {
            code: "transaction.needs_operator" as const,
            resource: `transaction/${id}`,
            nodeName: "",
            expected: `${kind} of ${guards.map(keyText).join(", ")} at rest`,
            found: error === "" ? "needs an operator" : error,
            keys: [],
          },
        ],
  );
}
