import type { Collection, KeyParts } from "../../../../datastore/collection.ts";
import { objectKey, type Part, refOfKey } from "../../../../datastore/key.ts";
import type { Stored } from "../../../../datastore/records.ts";
import { canonicalAddress } from "../../../../util/cidr.ts";
import { formatRef, nodeRef, parseRef, type Ref, refOnNode } from "../../../../util/ref.ts";
import type { Finding as FindingOf } from "../../../core/audit/finding.ts";
import { dropRecords } from "../../../core/audit/repairs.ts";
import { listWanted, onceIn, type View } from "../../../core/audit/view.ts";
import type { UsedBy } from "../../../core/reserved.ts";
import type { Api } from "../../context.ts";
import {
  addresses,
  addressesOf,
  hardwareAddresses,
  type InterfaceReservation,
  interfaces,
  taps,
} from "../../interface/collection.ts";
import { interfaceOnNode, uniques } from "../../interface/interfaces.ts";
import { networks } from "../collection.ts";
import type { Code } from "./codes.ts";
import { releaseInterfaceOfNobody, takeFreeUniques } from "./repair.ts";

type Finding = FindingOf<Code, Api>;

type Reserved = Stored<InterfaceReservation>;

/** Compares interfaces and their addresses with the objects that they are reserved for. */
export function compareInterfaces(view: View): Finding[] {
  const { records } = view;
  const tapUsers = new Set(
    listWanted(view, interfaces, nodeOfInterface).map(({ key, value }) => {
      const { nodeName, tapName, name } = value;
      return userOf(nodeName, tapName, interfaceOnNode(networkOf(key), name));
    }),
  );
  const ofNodes = listWanted(view, taps, nodeOfTap).flatMap((stored) =>
    tapOfNobody(view, stored, tapUsers),
  );
  if (!view.isWanted("")) return ofNodes;
  return [
    ...ofNodes,
    ...records.list(interfaces).flatMap((stored) => compareInterface(view, stored)),
    ...twice(view, "address.twice", (reserved) => addressesOf(reserved).map(canonicalAddress)),
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

function nodeOfInterface({ value }: Reserved): string {
  return value.nodeName;
}

function nodeOfTap({ key }: Stored<UsedBy>): string {
  return taps.parts(key)[0] ?? "";
}

/** The network of a record. */
function networkOf(key: string): Ref {
  return refOfKey(key)!;
}

function userOf(...parts: readonly string[]): string {
  return parts.join("/");
}

function keysOf(key: string, owner: string | null): string[] {
  const ref = parseRef(owner ?? "");
  return [key, objectKey(networkOf(key)), ...(ref === undefined ? [] : [objectKey(ref)])];
}

/** The interface that has something which only one may have. */
function usersOf({ records }: View): ReadonlyMap<string, string> {
  const all = [addresses, hardwareAddresses, taps].flatMap((of) =>
    records.list(of).map(({ key, value }) => {
      const [first, ...rest] = of.parts(key);
      return [uniqueKey(of, [refOfKey(key) ?? first, ...rest]), value.usedBy] as const;
    }),
  );
  return new Map(all);
}

/** Equal for the same address, however it is written. */
function uniqueKey(of: Collection<UsedBy, Part>, [where, text = ""]: KeyParts<Part>): string {
  return of.key(where, canonicalAddress(text));
}

function compareInterface(view: View, stored: Reserved): Finding[] {
  const { records, interfaceUsers } = view;
  const network = networkOf(stored.key);
  const { name, owner } = stored.value;
  const about = () => {
    return { resource: formatRef(network), nodeName: "", keys: keysOf(stored.key, owner) };
  };
  const ref = parseRef(owner ?? "");
  const user = ref === undefined ? undefined : interfaceUsers.get(ref.kind);
  const isOwned =
    ref === undefined || user === undefined
      ? records.find(networks, network) !== undefined
      : user.hasInterface(records, ref, network, name);
  if (!isOwned) {
    const found = `interface "${name}" of ${owner ?? "a network that does not exist"}`;
    const repair = releaseInterfaceOfNobody(network, stored);
    return [{ code: "interface.without_owner", expected: "nothing", found, ...about(), repair }];
  }
  const suspects = uniques(network, stored.value).filter(
    ({ of, parts, value }) => records.find(of, ...parts)?.value.usedBy !== value.usedBy,
  );
  if (suspects.length === 0) return [];
  const users = onceIn(view, usersOf);
  const wrong = suspects.filter(
    ({ of, parts, value }) => users.get(uniqueKey(of, parts)) !== value.usedBy,
  );
  if (wrong.length === 0) return [];
  const isFree = wrong.every(({ of, parts }) => !users.has(uniqueKey(of, parts)));
  return [
    {
      code: "interface.address_missing",
      expected: `${wrong.map(({ parts }) => parts[1]).join(", ")} taken by interface "${name}"`,
      found: isFree ? "free" : "taken by another interface",
      ...about(),
      ...(isFree ? { repair: takeFreeUniques(network, stored) } : {}),
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
    const network = networkOf(stored.key);
    return textsOf(stored.value).flatMap((text) => {
      if (text === "") return [];
      const key = addresses.key(network, text);
      const other = first.get(key);
      first.set(key, other ?? stored);
      if (other === undefined) return [];
      return [
        {
          code,
          resource: formatRef(network),
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
  view: View,
  code: Code,
  of: Collection<UsedBy, Part>,
  stored: Stored<UsedBy>,
): Finding[] {
  const network = networkOf(stored.key);
  const [, text = ""] = of.parts(stored.key);
  const { usedBy } = stored.value;
  const user = view.records.find(interfaces, network, usedBy)?.value;
  const has = user === undefined ? [] : [...addressesOf(user), user.hardwareAddress];
  const isSame = (one: string) => canonicalAddress(one) === canonicalAddress(text);
  if (has.includes(text) || has.some(isSame)) return [];
  return [
    {
      code,
      resource: formatRef(network),
      nodeName: "",
      expected: "free",
      found: `${text} taken by interface "${usedBy}"`,
      keys: [
        ...keysOf(interfaces.key(network, usedBy), user?.owner ?? null),
        ...possibleKeys(view, network.scope, usedBy),
      ],
      repair: dropRecords([stored]),
    },
  ];
}

/** The objects that may have an interface whose record is gone. */
function possibleKeys({ interfaceUsers }: View, scope: string, interfaceName: string): string[] {
  return [...interfaceUsers.values()].flatMap((user) => [
    ...user.possibleKeys(scope, interfaceName),
  ]);
}

function tapOfNobody(view: View, stored: Stored<UsedBy>, users: ReadonlySet<string>): Finding[] {
  const [nodeName = "", tapName = ""] = taps.parts(stored.key);
  const { usedBy } = stored.value;
  if (users.has(userOf(nodeName, tapName, usedBy))) return [];
  const { scope, name } = refOnNode("interface", usedBy);
  return [
    {
      code: "tap_name.without_owner",
      resource: formatRef(nodeRef(nodeName)),
      nodeName,
      expected: "free",
      found: `device "${tapName}" taken by interface "${name}"`,
      keys: possibleKeys(view, scope, name),
      repair: dropRecords([stored]),
    },
  ];
}
