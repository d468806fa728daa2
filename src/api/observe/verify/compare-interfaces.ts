import type { Collection } from "../../../datastore/collection.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import { parseRefOf } from "../../../util/ref.ts";
import {
  addresses,
  hardwareAddresses,
  type InterfaceReservation,
  interfaces,
  taps,
} from "../../network/interface/collection.ts";
import { uniques } from "../../network/interface/interfaces.ts";
import { networks } from "../../network/network/collection.ts";
import { virtualMachines } from "../../provisioning/virtual-machine/collection.ts";
import type { Code } from "./codes.ts";
import type { Finding } from "./finding.ts";
import {
  dropRecords,
  releaseInterfaceOfNobody,
  reserveInterfaceAgain,
  takeUniques,
} from "./repair-records.ts";
import type { View } from "./view.ts";

type Reserved = Stored<InterfaceReservation>;
type UsedBy = { readonly usedBy: string };

/** Interfaces with their addresses, against the nics that need them. */
export function compareInterfaces(view: View): Finding[] {
  const { records } = view;
  const tapUsers = new Set(
    records.list(interfaces).map(({ value }) => userOf(value.nodeName, value.tapName, value.name)),
  );
  const ofNodes = [
    ...records.list(taps).flatMap((stored) => tapOfNobody(view, stored, tapUsers)),
    ...records.list(virtualMachines).flatMap(({ value }) => missingOf(view, value)),
  ];
  if (!view.isWanted("")) return ofNodes;
  const users = usersOf(view);
  return [
    ...ofNodes,
    ...records.list(interfaces).flatMap((stored) => compareInterface(view, stored, users)),
    ...twice(view, "address.twice", ({ ipv4Address, ipv6Address }) => [ipv4Address, ipv6Address]),
    ...twice(view, "hardware_address.twice", ({ hardwareAddress }) => [hardwareAddress]),
    ...records
      .list(addresses)
      .flatMap((stored) => ofNobody(view, "address.without_owner", addresses, stored)),
    ...records
      .list(hardwareAddresses)
      .flatMap((stored) =>
        ofNobody(view, "hardware_address.without_owner", hardwareAddresses, stored),
      ),
  ];
}

function userOf(...parts: readonly string[]): string {
  return parts.join("/");
}

function keysOf(key: string, owner: string | null): string[] {
  const vm = parseRefOf("virtual_machine", owner);
  const [networkName = ""] = interfaces.parts(key);
  return [key, networks.key(networkName), ...(vm === undefined ? [] : [virtualMachines.key(vm)])];
}

function hasNic(vm: VirtualMachine | undefined, networkName: string, name: string): boolean {
  return (vm?.nics ?? []).some(
    (nic, i) => nic.networkName === networkName && vm?.networkInterfaceNames[i] === name,
  );
}

type Users = ReadonlyMap<string, string>;

/** Which interface has what only one may have. */
function usersOf({ records }: View): Users {
  const all = [addresses, hardwareAddresses, taps].flatMap((of) =>
    records.list<UsedBy>(of).map(({ key, value }) => {
      return [uniqueKey(of, of.parts(key)), value.usedBy] as const;
    }),
  );
  return new Map(all);
}

/** The same for the same address, however it is written. */
function uniqueKey(of: Collection<UsedBy>, [where = "", text = ""]: readonly string[]): string {
  return of.key(where, canonicalAddress(text));
}

function compareInterface({ records }: View, stored: Reserved, users: Users): Finding[] {
  const [networkName = "", name = ""] = interfaces.parts(stored.key);
  const { owner } = stored.value;
  const about = {
    resource: `network/${networkName}`,
    nodeName: "",
    keys: keysOf(stored.key, owner),
  };
  const vm = parseRefOf("virtual_machine", owner);
  const isOwned =
    vm === undefined
      ? records.find(networks, networkName) !== undefined
      : hasNic(records.find(virtualMachines, vm)?.value, networkName, name);
  if (!isOwned) {
    const found = `interface "${name}" of ${owner ?? "a network that does not exist"}`;
    const repair = releaseInterfaceOfNobody(networkName, stored);
    return [{ code: "interface.without_owner", expected: "nothing", found, ...about, repair }];
  }
  const wrong = uniques(networkName, stored.value).filter(
    ({ of, parts }) => users.get(uniqueKey(of, parts)) !== name,
  );
  if (wrong.length === 0) return [];
  const isFree = wrong.every(({ of, parts }) => !users.has(uniqueKey(of, parts)));
  return [
    {
      code: "interface.address_missing",
      expected: `${wrong.map(({ parts }) => parts[1]).join(", ")} taken by interface "${name}"`,
      found: isFree ? "free" : "taken by another interface",
      ...about,
      ...(isFree ? { repair: takeUniques(networkName, stored) } : {}),
    },
  ];
}

function twice(
  { records }: View,
  code: Code,
  textsOf: (reserved: InterfaceReservation) => readonly string[],
): Finding[] {
  const first = new Map<string, Reserved>();
  return records.list(interfaces).flatMap((stored) => {
    const [networkName = ""] = interfaces.parts(stored.key);
    return textsOf(stored.value).flatMap((written) => {
      if (written === "") return [];
      const text = canonicalAddress(written);
      const other = first.get(`${networkName}/${text}`);
      first.set(`${networkName}/${text}`, other ?? stored);
      if (other === undefined) return [];
      return [
        {
          code,
          resource: `network/${networkName}`,
          nodeName: "",
          expected: `${text} once`,
          found: `interfaces "${other.value.name}" and "${stored.value.name}"`,
          keys: [
            ...keysOf(other.key, other.value.owner),
            ...keysOf(stored.key, stored.value.owner),
          ],
        },
      ];
    });
  });
}

function ofNobody(
  { records }: View,
  code: Code,
  of: Collection<UsedBy>,
  stored: Stored<UsedBy>,
): Finding[] {
  const [networkName = "", text = ""] = of.parts(stored.key);
  const { usedBy } = stored.value;
  const user = records.find(interfaces, networkName, usedBy)?.value;
  const has = [user?.ipv4Address, user?.ipv6Address, user?.hardwareAddress];
  if (has.some((one) => one !== undefined && canonicalAddress(one) === canonicalAddress(text))) {
    return [];
  }
  return [
    {
      code,
      resource: `network/${networkName}`,
      nodeName: "",
      expected: "free",
      found: `${text} taken by interface "${usedBy}"`,
      keys: [...keysOf(interfaces.key(networkName, usedBy), user?.owner ?? null), ...vmsOf(usedBy)],
      repair: dropRecords([stored]),
    },
  ];
}

/** An interface of a nic is called as its virtual machine with a number after it. */
function vmsOf(interfaceName: string): string[] {
  const digits = /\d+$/.exec(interfaceName)?.[0].length ?? 0;
  return Array.from({ length: digits }, (_, i) =>
    virtualMachines.key(interfaceName.slice(0, interfaceName.length - i - 1)),
  );
}

function tapOfNobody(
  { isWanted }: View,
  stored: Stored<UsedBy>,
  users: ReadonlySet<string>,
): Finding[] {
  const [nodeName = "", tapName = ""] = taps.parts(stored.key);
  const { usedBy } = stored.value;
  if (!isWanted(nodeName) || users.has(userOf(nodeName, tapName, usedBy))) return [];
  return [
    {
      code: "tap_name.without_owner",
      resource: `node/${nodeName}`,
      nodeName,
      expected: "free",
      found: `device "${tapName}" taken by interface "${usedBy}"`,
      keys: vmsOf(usedBy),
      repair: dropRecords([stored]),
    },
  ];
}

function missingOf(view: View, vm: VirtualMachine): Finding[] {
  const { transactionId, computeNodeName: nodeName } = vm;
  if (transactionId !== "" || !view.isWanted(nodeName)) return [];
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
  { answers }: View,
  { name, computeNodeName }: VirtualMachine,
  hardwareAddress: string,
): string | undefined {
  const answer = answers.find(({ nodeName }) => nodeName === computeNodeName);
  if (answer === undefined || !("survey" in answer)) return undefined;
  const domain = answer.survey.domains.find(({ listed }) => listed?.domain?.name === name);
  return domain?.listed?.domain?.nics.find((nic) => nic.hardwareAddress === hardwareAddress)
    ?.tapName;
}
