import type { Stored } from "../../../../datastore/records.ts";
import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { parseRefOf } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { dropRecords } from "../../../core/audit/repairs.ts";
import { listWanted, surveyOf, type View } from "../../../core/audit/view.ts";
import { interfaces } from "../../../network/interface/collection.ts";
import { networks } from "../../../network/network/collection.ts";
import {
  keysOfOwner,
  nodeOfCompute,
  numbersOf,
  reservedForNobody,
} from "../../../pool/inventory/audit.ts";
import { type ComputeReservation, computes } from "../../../pool/inventory/collection.ts";
import type { Api } from "../../context.ts";
import { uuids, virtualMachines } from "../collection.ts";
import { ownerOf } from "../record.ts";
import { computeReservationOf } from "../reservations.ts";
import type { Code } from "./codes.ts";
import {
  reserveComputeAgain,
  reserveInterfaceAgain,
  reserveUuidAgain,
  settleCompute,
} from "./repair.ts";
import { nodeOfMachine } from "./view.ts";

type Finding = FindingOf<Code, Api>;

/** What is reserved for virtual machines, against what they need. */
export function compareReservations(view: View): Finding[] {
  const { records, isWanted } = view;
  const machines = listWanted(view, virtualMachines, nodeOfMachine);
  const atRest = machines.map(({ value }) => value).filter((vm) => !isPending(vm));
  return [
    ...listWanted(view, computes, nodeOfCompute).flatMap((stored) => compareCompute(view, stored)),
    ...atRest.flatMap((vm) => [...missingCompute(view, vm), ...missingInterfaces(view, vm)]),
    ...(isWanted("") ? records.list(uuids).flatMap((stored) => compareUuid(view, stored)) : []),
    ...(isWanted("") ? records.list(virtualMachines).flatMap((one) => missingUuid(view, one)) : []),
  ];
}

function compareCompute(view: View, stored: Stored<ComputeReservation>): Finding[] {
  const [nodeName = "", name = ""] = computes.parts(stored.key);
  const { owner } = stored.value;
  const ref = parseRefOf("virtual_machine", owner);
  const vm = ref === undefined ? undefined : view.records.find(virtualMachines, ref)?.value;
  const isOwned = vm?.computeNodeName === nodeName && vm.computeName === name;
  const keys = [computes.key(nodeName, name), ...keysOfOwner(owner)];
  const about = { resource: owner ?? `compute/${name}`, nodeName, keys };
  if (isOwned) {
    const [expected, found] = [numbersOf(computeReservationOf(vm)), numbersOf(stored.value)];
    if (expected === found || isPending(vm)) return [];
    const repair = settleCompute(nodeName, stored, vm);
    return [{ code: "vm.compute_differs", expected, found, ...about, repair }];
  }
  return reservedForNobody(view, "compute.without_owner", computes, stored, about);
}

function isPending({ transactionId }: VirtualMachine): boolean {
  return transactionId !== "";
}

function compareUuid({ records }: View, stored: Stored<{ usedBy: string }>): Finding[] {
  const uuid = uuids.parts(stored.key)[0] ?? "";
  const name = stored.value.usedBy;
  if (records.find(virtualMachines, name)?.value.uuid === uuid) return [];
  return [
    {
      code: "uuid.without_owner",
      resource: `virtual_machine/${name}`,
      nodeName: "",
      expected: "nothing",
      found: `uuid ${uuid} taken by "${name}"`,
      keys: [virtualMachines.key(name)],
      repair: dropRecords([stored]),
    },
  ];
}

function missingCompute({ records }: View, vm: VirtualMachine): Finding[] {
  const { name, computeNodeName: nodeName, computeName } = vm;
  const about = { resource: ownerOf(name), nodeName, keys: [virtualMachines.key(name)] };
  const reserved = records.find(computes, nodeName, computeName);
  if (reserved?.value.owner === about.resource) return [];
  const expected = numbersOf(computeReservationOf(vm));
  const found = reserved === undefined ? "nothing" : `reserved for ${reserved.value.owner}`;
  const repair = reserved === undefined ? { repair: reserveComputeAgain(nodeName, vm) } : {};
  return [{ code: "vm.compute_missing", expected, found, ...about, ...repair }];
}

function missingUuid({ records }: View, { value: vm }: Stored<VirtualMachine>): Finding[] {
  const { name, uuid } = vm;
  const user = records.find(uuids, uuid)?.value.usedBy;
  if (isPending(vm) || user === name) return [];
  const about = { resource: ownerOf(name), nodeName: "", keys: [virtualMachines.key(name)] };
  const found = user === undefined ? "free" : `taken by "${user}"`;
  const repair = user === undefined ? { repair: reserveUuidAgain(uuid, name) } : {};
  const expected = `uuid ${uuid} taken by "${name}"`;
  return [{ code: "vm.uuid_missing", expected, found, ...about, ...repair }];
}

function missingInterfaces(view: View, vm: VirtualMachine): Finding[] {
  const nodeName = vm.computeNodeName;
  return vm.nics.flatMap(({ networkName, hardwareAddress }, i) => {
    const name = vm.networkInterfaceNames[i] ?? "";
    const stored = view.records.find(interfaces, networkName, name);
    const resource = `virtual_machine/${vm.name}`;
    if (stored?.value.owner === resource) return [];
    const found = stored === undefined ? "none" : `that of ${stored.value.owner ?? "nobody"}`;
    const tapName = tapOfDomain(view, vm, hardwareAddress);
    const repair = stored === undefined ? { repair: reserveInterfaceAgain(vm, i, tapName) } : {};
    const expected = `interface "${name}" in network "${networkName}"`;
    const keys = [virtualMachines.key(vm.name), networks.key(networkName)];
    const about = { resource, nodeName, keys };
    return [{ code: "vm.interface_missing", expected, found, ...about, ...repair }];
  });
}

/** The device that the domain has for its nic, whose record is lost. */
function tapOfDomain(
  view: View,
  { name, computeNodeName }: VirtualMachine,
  hardwareAddress: string,
): string | undefined {
  const domains = surveyOf(view, computeNodeName)?.domains;
  const domain = domains?.find(({ listed }) => listed?.domain?.name === name);
  return domain?.listed?.domain?.nics.find((nic) => nic.hardwareAddress === hardwareAddress)
    ?.tapName;
}
