import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** Where the object of a task is. */
export interface TaskPlace {
  /** Empty if it is on no node. */
  readonly node: string;
  /** Of all its nics, in their order. */
  readonly addresses: readonly AddressOfNetwork[];
}

export interface AddressOfNetwork {
  /** Two networks may have the same addresses. */
  readonly network: string;
  readonly address: string;
}

/**
 * Reads it from the answer of the task, with the names of the proto.
 *
 * @param args The task's, as its author wrote them.
 */
export function placeOf(answer: JsonObject = {}, args: JsonObject = {}): TaskPlace {
  const node = [answer["compute_node_name"], answer["node_name"]].find(isText) ?? "";
  const nics = Array.isArray(answer["nics"]) ? answer["nics"] : [];
  const reserved = addressesOf(answer["name"], reservedIn(answer, args));
  return { node, addresses: [...nics.flatMap(addressesOfNic), ...reserved] };
}

/** `node-1, 10.0.0.253`, or `no node`. */
export function placeText({ node, addresses }: TaskPlace): string {
  return [node === "" ? "no node" : node, ...addresses.map(({ address }) => address)].join(", ");
}

export function isSamePlace(one: TaskPlace, other: TaskPlace): boolean {
  const all = ({ addresses }: TaskPlace) =>
    addresses.map(({ network, address }) => [network, address]);
  return one.node === other.node && JSON.stringify(all(one)) === JSON.stringify(all(other));
}

/** The interface that the task has reserved in a network, which may have many. */
function reservedIn(answer: JsonObject, args: JsonObject): JsonValue {
  const name = args["network_interface_name"] ?? args["networkInterfaceName"];
  const all = answer["reserved_network_interfaces"];
  return isText(name) && isObject(all) ? (all[name] ?? null) : null;
}

function addressesOfNic(nic: JsonValue): readonly AddressOfNetwork[] {
  return isObject(nic) ? addressesOf(nic["network_name"], nic) : [];
}

function addressesOf(network: JsonValue | undefined, nic: JsonValue): AddressOfNetwork[] {
  if (!isObject(nic) || !isText(network)) return [];
  const others = nic["secondary_addresses"];
  const all = [nic["ipv4_address"], nic["ipv6_address"], ...(Array.isArray(others) ? others : [])];
  return all.filter(isText).map((address) => ({ network, address }));
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === "string" && value !== "";
}
