import { DomainState } from "../../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import {
  PartState,
  type SurveyedDomain,
  type SurveyedSeed,
} from "../../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import {
  type VirtualMachine_VirtualMachineState as State,
  VirtualMachine_VirtualMachineStateSchema as StateSchema,
  type VirtualMachine,
} from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatRef, nameOnNode, type Ref, refOnNode } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { isActiveDomain, stateOf } from "../domain/domain-states.ts";
import type { Plan } from "../domain/plan.ts";
import type { Code } from "./codes.ts";
import { defineMissing, redefine, removeDomain, takeState, writeSeed } from "./repair.ts";
import { type MachineNodeView, settledOn } from "./view.ts";

type Finding = FindingOf<Code, Api>;
type NodeView = MachineNodeView;

/** A virtual machine at rest, and its domain on its node. */
interface Pair {
  readonly ref: Ref;
  readonly vm: VirtualMachine;
  readonly plan: Plan;
  readonly keys: readonly string[];
  readonly domain: SurveyedDomain;
  readonly seed: SurveyedSeed | undefined;
}

/** Compares the domains, folders and seeds of one node. */
export function compareDomains(node: NodeView): Finding[] {
  const { survey } = node;
  const domains = new Map(survey.domains.map((found) => [found.listed?.domain?.name ?? "", found]));
  const seeds = new Map(survey.seeds.map((found) => [found.name, found]));
  const findings: Finding[] = [];
  for (const machine of settledOn(node)) {
    const onNode = nameOnNode(machine.ref);
    const domain = domains.get(onNode);
    if (domain === undefined) findings.push(withoutDomain(node, machine));
    else {
      const pair = { ...machine, domain, seed: seeds.get(onNode) };
      findings.push(
        ...compareDefinition(node, pair),
        ...compareState(node, pair),
        ...compareSeed(node, pair),
      );
    }
  }
  return [...findings, ...strangers(node), ...folders(node, new Set(domains.keys()))];
}

function withoutDomain(
  { nodeName }: NodeView,
  { ref, vm, plan, keys }: Omit<Pair, "domain" | "seed">,
): Finding {
  return {
    code: "vm.without_domain",
    resource: formatRef(ref),
    nodeName,
    expected: `a domain of ${vm.limitCpuMilliCore / 1000} processors and ${vm.limitMemoryBytes} bytes`,
    found: "none",
    keys,
    repair: defineMissing(ref, vm, plan),
  };
}

export function isActive({ listed }: SurveyedDomain): boolean {
  return listed !== undefined && isActiveDomain(listed.state);
}

function compareDefinition({ nodeName }: NodeView, pair: Pair): Finding[] {
  const { ref, plan, keys, domain } = pair;
  const there = domain.listed?.domain;
  if (there === undefined) return [];
  const wanted = plan.domain;
  // An agent of a version before does not say them.
  const saysSlots = there.nics.every(({ pciSlot }) => pciSlot !== 0);
  const nics = (list: readonly { tapName: string; hardwareAddress: string; pciSlot?: number }[]) =>
    list
      .map(({ tapName, hardwareAddress, pciSlot }) => {
        const slot = saysSlots ? ` in slot ${pciSlot}` : "";
        return `${tapName} ${hardwareAddress.toLowerCase()}${slot}`;
      })
      // The record has them in the order in which they came, the domain in that of their slots.
      .sort()
      .join(", ");
  const disks = [...there.volumeIds, ...domain.otherDiskPaths];
  const parts: readonly (readonly [Code, string, string])[] = [
    ["domain.uuid_differs", wanted.uuid, there.uuid],
    ["domain.cpu_differs", `${wanted.vcpus}`, `${there.vcpus}`],
    ["domain.memory_differs", `${inKibibytes(wanted.memoryBytes)}`, `${there.memoryBytes}`],
    ["domain.disks_differ", wanted.volumeIds.join(", "), disks.join(", ")],
    ["domain.nics_differ", nics(wanted.nics), nics(there.nics)],
  ];
  const repair = isActive(domain) ? {} : { repair: redefine(plan.domain, there) };
  return parts.flatMap(([code, expected, found]) =>
    expected === found
      ? []
      : [
          {
            code,
            resource: formatRef(ref),
            nodeName,
            expected: expected || "none",
            found: found || "none",
            keys,
            ...repair,
          },
        ],
  );
}

/** The unit of a domain's memory. */
function inKibibytes(bytes: string): bigint {
  return ((BigInt(bytes) + 1023n) / 1024n) * 1024n;
}

function compareState({ nodeName }: NodeView, { ref, vm, plan, keys, domain }: Pair): Finding[] {
  const found = stateOf(domain.listed?.state ?? DomainState.UNSPECIFIED);
  if (found === vm.state) return [];
  return [
    {
      code: "vm.state_differs",
      resource: formatRef(ref),
      nodeName,
      expected: stateName(vm.state),
      found: stateName(found),
      keys,
      repair: takeState(ref, vm, plan, found),
    },
  ];
}

function stateName(state: State): string {
  return StateSchema.value[state]?.name ?? "unknown";
}

/** A boot writes the seed again, with the users' keys at that time. Until then they may differ. */
function compareSeed({ nodeName, view }: NodeView, { ref, vm, plan, keys, seed }: Pair): Finding[] {
  if (!view.isAsked(ref, plan.seed)) return [];
  if (seed === undefined || seed.state === PartState.WHOLE) return [];
  const about = { resource: formatRef(ref), nodeName, keys, repair: writeSeed(plan.seed) };
  if (seed.state === PartState.ABSENT) {
    return [{ code: "vm.seed_missing", expected: "a seed", found: "none", ...about }];
  }
  const differing = seed.differingFiles.filter(
    (file) => file !== "user-data" || vm.userNames.length === 0,
  );
  if (differing.length === 0) return [];
  const found = `other content in ${differing.join(", ")}`;
  return [{ code: "vm.seed_stale", expected: "the seed of the record", found, ...about }];
}

/** Domains that belong to no virtual machine of this node. */
function strangers({ nodeName, survey, view }: NodeView): Finding[] {
  return survey.domains.flatMap((found) => {
    const { listed } = found;
    const ref = refOnNode(virtualMachines.kind, listed?.domain?.name ?? "");
    const vm = view.records.find(virtualMachines, ref)?.value;
    if (vm?.computeNodeName === nodeName) return [];
    const isElsewhere = vm !== undefined;
    const code = isElsewhere ? "domain.on_another_node" : "domain.without_vm";
    const isLeft = isElsewhere && isActive(found);
    return [
      {
        code,
        resource: formatRef(ref),
        nodeName,
        expected: isElsewhere ? `nothing here: it is on "${vm.computeNodeName}"` : "nothing",
        found: `a domain that is ${isActive(found) ? "active" : "shut off"}`,
        keys: [virtualMachines.key(ref)],
        madeBy: listed?.transactionId ?? "",
        ...(isLeft ? {} : { repair: removeDomain({ nodeName, ref }) }),
      },
    ];
  });
}

function folders({ nodeName, survey, view }: NodeView, domains: ReadonlySet<string>): Finding[] {
  return survey.folders.flatMap(({ name, owner, transactionId }) => {
    const ref = refOnNode(virtualMachines.kind, name);
    const vm = view.records.find(virtualMachines, ref)?.value;
    if (vm?.computeNodeName === nodeName || domains.has(name)) return [];
    return [
      {
        code: "folder.without_vm",
        resource: formatRef(ref),
        nodeName,
        expected: "nothing",
        found: `a folder of ${owner}`,
        keys: [virtualMachines.key(ref)],
        madeBy: transactionId,
        repair: removeDomain({ nodeName, ref }),
      },
    ];
  });
}
