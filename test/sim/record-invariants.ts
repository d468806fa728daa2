import { isReserved } from "../../src/api/network/interface/allowed-addresses.ts";
import {
  addresses,
  addressesOf,
  hardwareAddresses,
  interfaces,
  taps,
} from "../../src/api/network/interface/collection.ts";
import { networkBeside, networks } from "../../src/api/network/network/collection.ts";
import { groupsOfInterface } from "../../src/api/network/security-group/on-node.ts";
import { vnis } from "../../src/api/network/segment/collection.ts";
import { computes, storages } from "../../src/api/pool/inventory/collection.ts";
import { nodes } from "../../src/api/pool/node/collection.ts";
import {
  blockStorages,
  overlays,
  replicas,
} from "../../src/api/provisioning/block-storage/collection.ts";
import {
  userDatas,
  uuids,
  virtualMachines,
} from "../../src/api/provisioning/virtual-machine/collection.ts";
import type { Collection, KeyParts } from "../../src/datastore/collection.ts";
import type { Datastore, Entry } from "../../src/datastore/datastore.ts";
import { type Part, refOfKey } from "../../src/datastore/key.ts";
import { isHost, parseAddress, parseCidr } from "../../src/util/cidr.ts";
import { formatRef, parseRef, type Ref } from "../../src/util/ref.ts";
import type { Model } from "./model.ts";
import { OBJECTS } from "./model.ts";

/** The records that belong to the users' objects. There may be no others. */
const DERIVED: readonly { readonly prefix: string }[] = [
  computes,
  storages,
  interfaces,
  addresses,
  hardwareAddresses,
  taps,
  uuids,
  userDatas,
  overlays,
  vnis,
];

interface Record<T> {
  readonly key: string;
  readonly parts: readonly string[];
  readonly value: T;
}

/** All records at one moment. */
export class Snapshot {
  readonly entries: ReadonlyMap<string, Entry>;

  private constructor(entries: readonly Entry[]) {
    this.entries = new Map(entries.map((entry) => [entry.key, entry]));
  }

  static async of(datastore: Datastore): Promise<Snapshot> {
    return new Snapshot(await datastore.list(""));
  }

  find<T, F extends Part>(of: Collection<T, F>, ...parts: KeyParts<F>): T | undefined {
    const entry = this.entries.get(of.key(...parts));
    return entry === undefined ? undefined : of.decode(entry.value);
  }

  list<T>(of: Collection<T, Part>): Record<T>[] {
    const found = [...this.entries.values()].filter(({ key }) => key.startsWith(of.prefix));
    return found.map(({ key, value }) => ({
      key,
      parts: of.parts(key),
      value: of.decode(value),
    }));
  }
}

/** The users' objects are those that were committed, unchanged. */
export function* wrongObjects(model: Model, snapshot: Snapshot): Generator<string> {
  for (const of of OBJECTS) {
    for (const [key, { value }] of snapshot.entries) {
      if (!key.startsWith(of.prefix)) continue;
      const expected = model.expected.get(key);
      if (expected === undefined) {
        yield `${key} is there, and no transaction that was committed made it: ${textOf(of, value)}`;
      } else if (Buffer.compare(expected, value) !== 0) {
        yield `${key} is ${textOf(of, value)} and must be ${textOf(of, expected)}`;
      }
    }
  }
  for (const key of model.expected.keys()) {
    if (!snapshot.entries.has(key)) yield `${key} was committed and is not there`;
  }
}

/** Reservations, addresses and the like are exactly those of the users' objects. */
export function* wrongReservations(model: Model, snapshot: Snapshot): Generator<string> {
  const owed = new Map<string, string>();
  const owe = (key: string, why: string) => {
    const other = owed.get(key);
    if (other !== undefined) duplicates.push(`${key} is had twice: by ${other} and by ${why}`);
    owed.set(key, why);
  };
  const duplicates: string[] = [];
  const oweInterface = (network: Ref, name: string, why: string) => {
    owe(interfaces.key(network, name), why);
    const reserved = snapshot.find(interfaces, network, name);
    if (reserved === undefined) return;
    const { hardwareAddress, nodeName, tapName } = reserved;
    owe(hardwareAddresses.key(network, hardwareAddress), why);
    for (const address of addressesOf(reserved)) {
      owe(addresses.key(network, address), why);
    }
    if (tapName !== "") owe(taps.key(nodeName, tapName), why);
  };
  for (const { ref, object: vm } of model.objects(virtualMachines)) {
    const why = formatRef(ref);
    owe(uuids.key(vm.uuid), why);
    if (vm.userDataBytes > 0) owe(userDatas.key(ref), why);
    owe(computes.key(vm.computeNodeName, vm.computeName), why);
    vm.nics.forEach(({ networkName }, i) => {
      oweInterface(networkBeside(ref, networkName), vm.networkInterfaceNames[i] ?? "", why);
    });
  }
  for (const { ref, object: disk } of model.objects(blockStorages)) {
    const why = formatRef(ref);
    owe(storages.key(disk.nodeName, disk.volumeId), why);
    if (disk.baseVolumeId !== "") owe(overlays.key(disk.baseVolumeId, disk.volumeId), why);
  }
  for (const { key, parts, value } of snapshot.list(replicas)) {
    const base = refOfKey(key)!;
    owe(storages.key(parts[1]!, value.volumeId), `copy of ${formatRef(base)}`);
    if (model.find(blockStorages, base) === undefined)
      yield `a copy of ${formatRef(base)}, which is gone`;
  }
  for (const { ref } of model.objects(networks)) {
    oweInterface(ref, "default-gateway", "its network");
    const vni = snapshot.find(networks, ref)?.vni ?? 0;
    if (vni !== 0) owe(vnis.key(String(vni)), formatRef(ref));
  }
  for (const key of model.byHand) {
    if (key.startsWith(interfaces.prefix)) {
      const [, name = ""] = interfaces.parts(key);
      oweInterface(refOfKey(key)!, name, "a user");
    } else owe(key, "a user");
  }
  yield* duplicates;
  for (const [key, why] of owed) if (!snapshot.entries.has(key)) yield `${key} is missing: ${why}`;
  for (const key of snapshot.entries.keys()) {
    if (DERIVED.some(({ prefix }) => key.startsWith(prefix)) && !owed.has(key)) {
      yield `${key} is nobody's`;
    }
  }
}

/** A shared address is nobody's own, lies in a reserved range, and its nics are in the same security groups. */
export function* wrongSharing(snapshot: Snapshot): Generator<string> {
  const all = snapshot.list(interfaces).map(({ key, value }) => {
    const { scope, name } = refOfKey(key)!;
    return { network: formatRef({ kind: networks.kind, scope, name }), key, value };
  });
  for (const { network, key, value } of all) {
    const { reservedRanges = [] } = snapshot.find(networks, parseRef(network)!) ?? {};
    for (const address of value.allowedAddresses ?? []) {
      if (!isReserved(reservedRanges, address)) yield `${key}: ${address} is in no reserved range`;
      for (const other of all) {
        if (other.network !== network) continue;
        if (addressesOf(other.value).includes(address)) {
          yield `${key}: ${address} is ${other.key}'s own`;
        }
        const isShared = other.value.allowedAddresses?.includes(address) === true;
        const [own, theirs] = [value, other.value].map((one) => String(groupsOfInterface(one)));
        if (isShared && own !== theirs) yield `${key} and ${other.key} share ${address} in vain`;
      }
    }
  }
}

/** Each reservation fits its owner, and no node is used beyond its capacity. */
export function* wrongAmounts(model: Model, snapshot: Snapshot): Generator<string> {
  for (const { ref, object: vm } of model.objects(virtualMachines)) {
    const reserved = snapshot.find(computes, vm.computeNodeName, vm.computeName);
    if (reserved === undefined) continue;
    const { counted, owner } = reserved;
    const isRight =
      owner === formatRef(ref) &&
      counted.cpuMilliCores === vm.requestCpuMilliCore &&
      counted.memoryBytes === vm.requestMemoryBytes.toString();
    if (!isRight) yield `what is reserved for ${vm.name} is ${JSON.stringify(reserved)}`;
  }
  for (const { ref, object: disk } of model.objects(blockStorages)) {
    const reserved = snapshot.find(storages, disk.nodeName, disk.volumeId);
    if (reserved === undefined) continue;
    const isRight =
      reserved.owner === formatRef(ref) &&
      reserved.counted.storageBytes === disk.requestBytes.toString();
    if (!isRight) yield `what is reserved for ${disk.name} is ${JSON.stringify(reserved)}`;
  }
  for (const { value: node } of snapshot.list(nodes)) {
    const used = useOf(snapshot, node.name);
    const isOver =
      used.cpuMilliCores > node.cpuMilliCores ||
      used.memoryBytes > node.memoryBytes ||
      used.storageBytes > node.storageBytes;
    if (isOver) yield `${node.name} is used beyond what it has: ${textOfAmounts(used)}`;
  }
}

export function useOf(snapshot: Snapshot, nodeName: string) {
  let [cpuMilliCores, memoryBytes, storageBytes] = [0n, 0n, 0n];
  for (const { parts, value } of [...snapshot.list(computes), ...snapshot.list(storages)]) {
    if (parts[0] !== nodeName) continue;
    cpuMilliCores += BigInt(value.counted.cpuMilliCores);
    memoryBytes += BigInt(value.counted.memoryBytes);
    storageBytes += BigInt(value.counted.storageBytes);
  }
  return { cpuMilliCores, memoryBytes, storageBytes };
}

export function textOfAmounts(amounts: ReturnType<typeof useOf>): string {
  return Object.values(amounts).map(String).join(" ");
}

/** Interfaces lie in their networks and belong to their owners, and no two have the same address. */
export function* wrongInterfaces(model: Model, snapshot: Snapshot): Generator<string> {
  for (const { key, parts, value } of snapshot.list(interfaces)) {
    const ref = refOfKey(key)!;
    const [networkName = "", name = ""] = parts;
    const network = model.find(networks, ref);
    if (network === undefined) continue;
    for (const family of [4, 6] as const) {
      const [text, cidrText] = [value[`ipv${family}Address`], network[`ipv${family}Cidr`]];
      if (text === "" && name !== "default-gateway") continue;
      const [address, cidr] = [parseAddress(text, family), parseCidr(cidrText, family)];
      const isInside = cidr !== undefined && address !== undefined && isHost(cidr, address);
      if (!isInside && text + cidrText !== "") {
        yield `interface ${networkName}/${name} has "${text}", outside "${cidrText}"`;
      }
    }
    const isByHand = model.byHand.has(key);
    if (isByHand !== (value.owner === null)) {
      yield `interface ${networkName}/${name} belongs to ${String(value.owner)}`;
    }
  }
}

function textOf(of: Pick<Collection<unknown>, "decode">, bytes: Uint8Array): string {
  return JSON.stringify(of.decode(bytes), (_, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}
