import { interfaces } from "../../src/api/network/interface/collection.ts";
import { networkBeside, networks } from "../../src/api/network/network/collection.ts";
import { securityGroups } from "../../src/api/network/security-group/collection.ts";
import { SECURITY_GROUP } from "../../src/api/network/security-group/names.ts";
import { groupsOfInterface, rulesOfId } from "../../src/api/network/security-group/on-node.ts";
import { nodes } from "../../src/api/pool/node/collection.ts";
import {
  blockStorageBeside,
  blockStorages,
  replicas,
} from "../../src/api/provisioning/block-storage/collection.ts";
import { virtualMachines } from "../../src/api/provisioning/virtual-machine/collection.ts";
import { refOfKey } from "../../src/datastore/key.ts";
import type { VirtualMachine } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { formatRef, nameOnNode, parseRefOf, type Ref } from "../../src/util/ref.ts";
import { digestOfGroups } from "../../src/util/security-rule.ts";
import type { Found, Model } from "./model.ts";
import type { SimulatedNode } from "./node.ts";
import type { Snapshot } from "./record-invariants.ts";

/** Everything on the node has an owner, and everything that should be there exists. */
export function* wrongOnNode(
  model: Model,
  snapshot: Snapshot,
  node: SimulatedNode,
): Generator<string> {
  yield* wrongVolumes(model, snapshot, node);
  yield* wrongDomains(model, node);
  yield* wrongTaps(model, snapshot, node);
  yield* wrongSegments(snapshot, node);
  yield* wrongGroups(snapshot, node);
}

function* wrongVolumes(
  model: Model,
  snapshot: Snapshot,
  { name, drivers }: SimulatedNode,
): Generator<string> {
  const owed = new Map<string, { owner: string; sizeBytes?: bigint; baseId?: string }>();
  for (const { ref, object: disk } of model.objects(blockStorages)) {
    if (disk.nodeName !== name) continue;
    const owner = formatRef(ref);
    owed.set(disk.volumeId, { owner, sizeBytes: disk.limitBytes, baseId: disk.baseVolumeId });
  }
  for (const { key, parts, value } of snapshot.list(replicas)) {
    if (parts[1] === name) owed.set(value.volumeId, { owner: formatRef(refOfKey(key)!) });
  }
  for (const { id, mark, virtualSizeBytes, baseId = "" } of drivers.volume.snapshot()) {
    const found = owed.get(id);
    owed.delete(id);
    if (found === undefined) {
      yield `${name} has volume ${id} of ${mark.owner}, which nobody knows, by ${mark.transactionId}`;
    } else if (found.owner !== mark.owner) {
      yield `${name}: volume ${id} is ${mark.owner}'s and must be ${found.owner}'s`;
    } else if (found.sizeBytes !== undefined && found.sizeBytes !== virtualSizeBytes) {
      yield `${name}: volume ${id} has ${virtualSizeBytes} bytes and must have ${found.sizeBytes}`;
    } else if (found.baseId !== undefined && found.baseId !== baseId) {
      yield `${name}: volume ${id} rests on "${baseId}" and must rest on "${found.baseId}"`;
    }
  }
  for (const [id, { owner }] of owed) yield `${name} lacks volume ${id} of ${owner}`;
}

function* wrongDomains(model: Model, { name, drivers }: SimulatedNode): Generator<string> {
  const { domains, folders } = drivers.compute.snapshot();
  const machines = machinesOn(model, name);
  for (const domain of domains) {
    const machine = machines.get(domain.name);
    if (machine === undefined) {
      yield `${name} has domain ${domain.name}, which nobody knows, by ${domain.mark.transactionId}`;
      continue;
    }
    const { ref, object: vm } = machine;
    const power = powerOf(model, domain.name);
    const state = domain.state === "crashed" ? "shut_off" : domain.state;
    if (power !== "any" && power !== state) {
      yield `${name}: domain ${vm.name} is ${state} and must be ${power}`;
    }
    if (domain.uuid !== vm.uuid) yield `${name}: domain ${vm.name} has the uuid ${domain.uuid}`;
    const paths = domain.diskPaths.filter((path) => !path.endsWith("/seed.iso"));
    const owed = vm.blockStorageNames.map((disk) =>
      drivers.volume.path(
        model.find(blockStorages, blockStorageBeside(ref, disk))?.volumeId ?? "lost",
      ),
    );
    if (paths.join() !== owed.join()) {
      yield `${name}: domain ${vm.name} has ${paths.join()} and must have ${owed.join()}`;
    }
  }
  for (const vm of machines.keys()) {
    if (!domains.some((domain) => domain.name === vm)) yield `${name} lacks domain ${vm}`;
    if (!folders.includes(vm)) yield `${name} lacks the folder of ${vm}`;
    if (!drivers.seed.seeds.has(seedOf(vm))) yield `${name} lacks the seed of ${vm}`;
  }
  for (const folder of folders) {
    if (!machines.has(folder)) yield `${name} has a folder of ${folder}, which nobody knows`;
  }
  for (const path of drivers.seed.seeds.keys()) {
    if (![...machines.keys()].some((vm) => seedOf(vm) === path)) {
      yield `${name} has the seed ${path}, which is nobody's`;
    }
  }
}

function* wrongTaps(
  model: Model,
  snapshot: Snapshot,
  { name, drivers }: SimulatedNode,
): Generator<string> {
  const { taps, networks } = drivers.network.snapshot();
  const { domains } = drivers.compute.snapshot();
  const known = new Map<string, { vm: Ref; network: Ref }>();
  for (const { ref, object } of machinesOn(model, name).values()) {
    object.nics.forEach(({ networkName }, i) => {
      const network = networkBeside(ref, networkName);
      const reserved = snapshot.find(interfaces, network, object.networkInterfaceNames[i] ?? "");
      if (reserved !== undefined) known.set(reserved.tapName, { vm: ref, network });
    });
  }
  for (const [tapName, { mark }] of Object.entries(taps)) {
    const found = known.get(tapName);
    if (found === undefined || mark.owner !== formatRef(found.vm)) {
      yield `${name} has tap ${tapName} of ${mark.owner}, which nobody knows, by ${mark.transactionId}`;
    } else if (model.power.get(nameOnNode(found.vm)) === "shut_off") {
      yield `${name} has tap ${tapName} of ${found.vm.name}, which is shut down`;
    }
  }
  for (const [tapName, { vm, network }] of known) {
    const state = domains.find((domain) => domain.name === nameOnNode(vm))?.state;
    if (state !== "running" && state !== "paused") continue;
    if (taps[tapName]?.networkName !== nameOnNode(network)) {
      yield `${name}: tap ${tapName} of ${vm.name}, which is ${state}, is not in ${network.name}`;
    }
  }
  for (const network of Object.keys(networks)) {
    if (!Object.values(taps).some(({ networkName }) => networkName === network)) {
      yield `${name} has network ${network} without a tap in it`;
    }
  }
}

/** Each network on the node knows of each guest elsewhere where it is, and of nobody else. */
function* wrongSegments(snapshot: Snapshot, { name, drivers }: SimulatedNode): Generator<string> {
  const underlays = new Map(
    snapshot.list(nodes).map(({ value }) => [value.name, value.underlayAddress]),
  );
  const { networks: here } = drivers.network.snapshot();
  const reserved = snapshot.list(interfaces);
  for (const { key, value: network } of snapshot.list(networks)) {
    const ref = refOfKey(key)!;
    const found = here[nameOnNode(ref)];
    if (found === undefined) continue;
    const peers = reserved.flatMap(({ key: of, value }) => {
      const { scope, name: its } = refOfKey(of)!;
      const isElsewhere = value.nodeName !== "" && value.nodeName !== name;
      if (scope !== ref.scope || its !== ref.name || !isElsewhere) return [];
      return [`${value.hardwareAddress} at ${underlays.get(value.nodeName)}`];
    });
    const wanted = network.vni === 0 ? "" : peers.sort().join();
    const there = (found.segment?.peers ?? []).map(
      (peer) => `${peer.hardwareAddress} at ${peer.underlayAddress}`,
    );
    const seen = there.sort().join();
    if (seen !== wanted) yield `${name}: ${ref.name} reaches ${seen} and must reach ${wanted}`;
    else if (seen !== "" && found.segment?.vni !== network.vni) {
      yield `${name}: ${ref.name} has the number ${found.segment?.vni}, not ${network.vni}`;
    }
  }
}

/** Each tap is in the groups of its nic, with their rules, and each network knows the members elsewhere. */
function* wrongGroups(snapshot: Snapshot, { name, drivers }: SimulatedNode): Generator<string> {
  const { networks: here, taps } = drivers.network.snapshot();
  const reserved = snapshot.list(interfaces).map(({ key, value }) => {
    const network = nameOnNode(refOfKey(key)!);
    return { network, value, groups: groupsOfInterface(value) };
  });
  for (const [tapName, { networkName, groupIds = [] }] of Object.entries(taps)) {
    const nic = reserved.find(({ value }) => value.nodeName === name && value.tapName === tapName);
    if (nic === undefined || networkName === undefined) continue;
    const wanted = nic.groups === "off" ? [] : nic.groups;
    if (groupIds.join() !== wanted.join()) {
      yield `${name}: tap ${tapName} is in ${groupIds.join()} and must be in ${wanted.join()}`;
    }
    const rules = wanted.map((id) =>
      rulesOfId(id, snapshot.find(securityGroups, parseRefOf(SECURITY_GROUP, id)!)),
    );
    const there = here[networkName]?.rules?.[wanted.join(" ")];
    if (wanted.length > 0 && there !== digestOfGroups(rules)) {
      yield `${name}: tap ${tapName} has other rules than ${wanted.join()}`;
    }
  }
  for (const [networkName, { members = [] }] of Object.entries(here)) {
    const isGrouped = Object.values(taps).some(
      (tap) => tap.networkName === networkName && tap.groupIds !== undefined,
    );
    if (!isGrouped) continue;
    const elsewhere = reserved.filter(
      ({ network, value, groups }) =>
        network === networkName && value.nodeName !== name && groups !== "off",
    );
    const wanted = elsewhere.map(
      ({ value, groups }) => `${value.hardwareAddress} in ${groups.toString()}`,
    );
    const seen = members.map(
      ({ identity, groupIds }) => `${identity.hardwareAddress} in ${groupIds.toString()}`,
    );
    if (seen.sort().join() !== wanted.sort().join()) {
      yield `${name}: ${networkName} knows ${seen.join()} and must know ${wanted.join()}`;
    }
  }
}

/** A guest that powers off by itself is off, and only its taps stay. */
function powerOf(model: Model, onNode: string): string {
  const power = model.power.get(onNode) ?? "any";
  return power === "gone_off" ? "shut_off" : power;
}

/** By what they are called on the node. */
function machinesOn(model: Model, nodeName: string): Map<string, Found<VirtualMachine>> {
  const all = model.objects(virtualMachines);
  const here = all.filter(({ object }) => object.computeNodeName === nodeName);
  return new Map(here.map((found) => [nameOnNode(found.ref), found]));
}

function seedOf(name: string): string {
  return `/fake/vm/${name}/seed.iso`;
}
