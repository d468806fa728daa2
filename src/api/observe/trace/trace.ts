import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { caughtUp } from "../../../datastore/datastore.ts";
import {
  type NetworkTraceService,
  TraceStep_Place as Place,
  type TraceNetworkRequest,
  type TraceNetworkResponseSchema,
} from "../../../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import {
  VirtualMachine_VirtualMachineState as State,
  VirtualMachine_VirtualMachineStateSchema as StateSchema,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { isSameRef } from "../../../util/ref.ts";
import { newSlots, type Slots } from "../../../util/slots.ts";
import type { Resource } from "../../core/resource/resource.ts";
import { scopeOf } from "../../core/scope.ts";
import { networks } from "../../network/network/collection.ts";
import { groupsOfInterface } from "../../network/security-group/on-node.ts";
import type { Api } from "../../provisioning/context.ts";
import { type Audits, auditsOf } from "../verify/audits.ts";
import { type Ends, type NicEnd, readEnds } from "./ends.ts";
import { groupStep } from "./groups.ts";
import { nodeSteps } from "./on-nodes.ts";
import { type Packet, packetOf } from "./packet.ts";
import { addressStep, pathStep } from "./path.ts";
import { passes, type Step, stops, unknown, verdictOf } from "./step.ts";

/** A look at a node asks it for everything that it has. The others wait, in the order of their calls. */
const LOOKS_AT_ONCE = 2;

export function traceRoutes(
  api: Api,
  resources: readonly Resource<Api>[],
): ServiceImpl<typeof NetworkTraceService> {
  const deps = { api, audits: auditsOf(resources), looks: newSlots(LOOKS_AT_ONCE) };
  return { traceNetwork: (request, call) => traceNetwork(deps, call, request) };
}

interface Deps {
  readonly api: Api;
  readonly audits: Audits;
  readonly looks: Slots;
}

/** @throws N0Error as `readEnds` and `packetOf`. */
async function traceNetwork(
  { api, audits, looks }: Deps,
  call: HandlerContext,
  request: TraceNetworkRequest,
): Promise<MessageInitShape<typeof TraceNetworkResponseSchema>> {
  const project = scopeOf(call, networks.kind);
  await caughtUp(api.datastore);
  const ends = await readEnds(api, project, request);
  const steps = await stepsOf(api, project, ends, packetOf(request, ends.family));
  if (!request.recordsOnly) {
    using _ = await looks.take(call.signal);
    const nics = [ends.source, ends.destination].filter((end) => end !== undefined);
    steps.push(...(await nodeSteps(api, audits, nics, call.signal)));
  }
  return { verdict: verdictOf(steps), steps };
}

/** From the source to the destination, by the records. */
async function stepsOf(api: Api, project: string, ends: Ends, packet: Packet): Promise<Step[]> {
  const { source, destination, family, sourceAddress, address } = ends;
  const path =
    destination === undefined ? addressStep(ends, packet) : pathStep(api, source, destination);
  const isTogether =
    destination !== undefined && isSameRef(source.network.ref, destination.network.ref);
  const groupsOf = (end: NicEnd | undefined) => {
    const groups = end === undefined || !isTogether ? "off" : groupsOfInterface(end.reserved);
    return new Set(groups === "off" ? [] : groups);
  };
  const steps = [endStep(Place.SOURCE, source, sourceAddress, family)];
  if (sourceAddress !== undefined && address !== undefined) {
    const remote = { remoteAddress: address, remoteGroups: groupsOf(destination) };
    const sent = { ...packet, ...remote, family, direction: "egress" as const };
    steps.push(await groupStep(api, project, source, sent));
  }
  steps.push(path);
  if (destination === undefined) return steps;
  if (sourceAddress !== undefined && address !== undefined && isTogether) {
    const remote = { remoteAddress: sourceAddress, remoteGroups: groupsOf(source) };
    const received = { ...packet, ...remote, family, direction: "ingress" as const };
    steps.push(await groupStep(api, project, destination, received));
  }
  steps.push(endStep(Place.DESTINATION, destination, address, family));
  return steps;
}

/** Whether somebody is there who sends and answers. */
function endStep(
  place: Place,
  { vm, index, network, reserved }: NicEnd,
  address: string | undefined,
  family: number,
): Step {
  const at = { place, nodeName: reserved.nodeName };
  const nic = `nic ${index} of virtual machine "${vm.ref.name}", in network "${network.ref.name}"`;
  const { state } = vm.value;
  if (state === State.VIRTUAL_MACHINE_UNSPECIFIED) {
    return unknown(at, `node "${reserved.nodeName}" does not say whether "${vm.ref.name}" runs`);
  }
  if (state !== State.RUNNING) {
    const word = StateSchema.value[state]?.name ?? "not running";
    return stops(at, `virtual machine "${vm.ref.name}" is ${word}`);
  }
  if (address === undefined) return stops(at, `${nic}, has no IPv${family} address`);
  return passes(at, `${address} is ${nic}`);
}
