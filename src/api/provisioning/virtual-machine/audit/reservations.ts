import type { Stored } from "../../../../datastore/records.ts";
import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatRef, nameOnNode, parseRefOf, type Ref, refOnNode } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { dropRecords } from "../../../core/audit/repairs.ts";
import { listWanted, surveyOf, type View } from "../../../core/audit/view.ts";
import { interfaces } from "../../../network/interface/collection.ts";
import { networkBeside, networks } from "../../../network/network/collection.ts";
import {
  keysOfOwner,
  nodeOfCompute,
  numbersOf,
  reservedForNobody,
} from "../../../pool/inventory/audit.ts";
import { type ComputeReservation, computes } from "../../../pool/inventory/collection.ts";
import type { Api } from "../../context.ts";
import { type UserData, userDatas, uuids, virtualMachines } from "../collection.ts";
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

/** Compares the reservations of virtual machines with what they need. */
export function compareReservations(view: View): Finding[] {
  const { records, isWanted } = view;
  const machines = listWanted(view, virtualMachines, nodeOfMachine);
  const atRest = machines.filter(({ value }) => !isPending(value));
  return [
    ...listWanted(view, computes, nodeOfCompute).flatMap((stored) => compareCompute(view, stored)),
    ...atRest.flatMap((stored) => [
      ...missingCompute(view, stored),
      ...missingInterfaces(view, stored),
    ]),
    ...(isWanted("") ? records.list(uuids).flatMap((stored) => compareUuid(view, stored)) : []),
    ...(isWanted("") ? records.list(virtualMachines).flatMap((one) => missingUuid(view, one)) : []),
    ...(isWanted("") ? records.list(userDatas).flatMap((one) => compareUserData(view, one)) : []),
  ];
}

function compareCompute(view: View, stored: Stored<ComputeReservation>): Finding[] {
  const [nodeName = "", name = ""] = computes.parts(stored.key);
  const { owner } = stored.value;
  const ref = parseRefOf("virtual_machine", owner);
  const vm = ref === undefined ? undefined : view.records.find(virtualMachines, ref)?.value;
  const about = () => {
    const keys = [computes.key(nodeName, name), ...keysOfOwner(owner)];
    return { resource: owner ?? `compute/${name}`, nodeName, keys };
  };
  if (ref !== undefined && vm?.computeNodeName === nodeName && vm.computeName === name) {
    const [expected, found] = [numbersOf(computeReservationOf(ref, vm)), numbersOf(stored.value)];
    if (expected === found || isPending(vm)) return [];
    const repair = settleCompute(nodeName, stored, ref, vm);
    return [{ code: "vm.compute_differs", expected, found, ...about(), repair }];
  }
  return reservedForNobody(view, "compute.without_owner", computes, stored, about());
}

function isPending({ transactionId }: VirtualMachine): boolean {
  return transactionId !== "";
}

function compareUuid({ records }: View, stored: Stored<{ usedBy: string }>): Finding[] {
  const uuid = uuids.parts(stored.key)[0] ?? "";
  const { usedBy } = stored.value;
  const ref = refOnNode(virtualMachines.kind, usedBy);
  if (records.find(virtualMachines, ref)?.value.uuid === uuid) return [];
  return [
    {
      code: "uuid.without_owner",
      resource: formatRef(ref),
      nodeName: "",
      expected: "nothing",
      found: `uuid ${uuid} taken by "${usedBy}"`,
      keys: [virtualMachines.key(ref)],
      repair: dropRecords([stored]),
    },
  ];
}

/** One that is missing is among what the record of the virtual machine names. */
function compareUserData({ records }: View, stored: Stored<UserData>): Finding[] {
  const ref = userDatas.refOf(stored.key);
  const vm = records.find(virtualMachines, ref)?.value;
  if (vm !== undefined && vm.userDataBytes > 0) return [];
  return [
    {
      code: "user_data.without_owner",
      resource: formatRef(ref),
      nodeName: "",
      expected: "nothing",
      found: "user data",
      keys: [virtualMachines.key(ref)],
      repair: dropRecords([stored]),
    },
  ];
}

function missingCompute({ records }: View, { key, value: vm }: Stored<VirtualMachine>): Finding[] {
  const { computeNodeName: nodeName, computeName } = vm;
  const ref = virtualMachines.refOf(key);
  const about = { resource: formatRef(ref), nodeName, keys: [key] };
  const reserved = records.find(computes, nodeName, computeName);
  if (reserved?.value.owner === about.resource) return [];
  const expected = numbersOf(computeReservationOf(ref, vm));
  const found = reserved === undefined ? "nothing" : `reserved for ${reserved.value.owner}`;
  const repair = reserved === undefined ? { repair: reserveComputeAgain(nodeName, ref, vm) } : {};
  return [{ code: "vm.compute_missing", expected, found, ...about, ...repair }];
}

function missingUuid({ records }: View, { key, value: vm }: Stored<VirtualMachine>): Finding[] {
  const { uuid } = vm;
  const ref = virtualMachines.refOf(key);
  const user = records.find(uuids, uuid)?.value.usedBy;
  if (isPending(vm) || user === nameOnNode(ref)) return [];
  const about = { resource: formatRef(ref), nodeName: "", keys: [key] };
  const found = user === undefined ? "free" : `taken by "${user}"`;
  const repair = user === undefined ? { repair: reserveUuidAgain(uuid, ref) } : {};
  const expected = `uuid ${uuid} taken by "${nameOnNode(ref)}"`;
  return [{ code: "vm.uuid_missing", expected, found, ...about, ...repair }];
}

function missingInterfaces(view: View, { key, value: vm }: Stored<VirtualMachine>): Finding[] {
  const nodeName = vm.computeNodeName;
  const ref = virtualMachines.refOf(key);
  const resource = formatRef(ref);
  return vm.nics.flatMap(({ networkName, hardwareAddress }, i) => {
    const name = vm.networkInterfaceNames[i] ?? "";
    const network = networkBeside(ref, networkName);
    const stored = view.records.find(interfaces, network, name);
    if (stored?.value.owner === resource) return [];
    const found = stored === undefined ? "none" : `that of ${stored.value.owner ?? "nobody"}`;
    const tapName = tapOfDomain(view, ref, vm, hardwareAddress);
    const repair =
      stored === undefined ? { repair: reserveInterfaceAgain(ref, vm, i, tapName) } : {};
    const expected = `interface "${name}" in network "${networkName}"`;
    const keys = [key, networks.key(network)];
    const about = { resource, nodeName, keys };
    return [{ code: "vm.interface_missing", expected, found, ...about, ...repair }];
  });
}

/** The device that the domain has for the nic whose record is lost. */
function tapOfDomain(
  view: View,
  ref: Ref,
  { computeNodeName }: VirtualMachine,
  hardwareAddress: string,
): string | undefined {
  const domains = surveyOf(view, computeNodeName)?.domains;
  const domain = domains?.find(({ listed }) => listed?.domain?.name === nameOnNode(ref));
  return domain?.listed?.domain?.nics.find((nic) => nic.hardwareAddress === hardwareAddress)
    ?.tapName;
}
