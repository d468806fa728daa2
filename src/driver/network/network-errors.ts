import { N0Error } from "../../util/errors.ts";
import { ownerOnNode } from "../../util/ref.ts";
import type { Mark } from "../mark.ts";

export function notOurs(deviceName: string, cause?: unknown): N0Error {
  return new N0Error(
    "failed_precondition",
    `the node has a network device "${deviceName}" that n0stack did not make: rename or remove it`,
    { cause },
  );
}

export function tapOfAnother(tapName: string, { owner, transactionId }: Mark): N0Error {
  return new N0Error(
    "failed_precondition",
    `the node has a tap "${tapName}" of "${owner}" from transaction "${transactionId}": remove it from the node`,
    { resource: owner },
  );
}

export function networkNotOurs(networkName: string, cause?: unknown): N0Error {
  return new N0Error(
    "failed_precondition",
    `the node has a file or namespace with the name of network "${networkName}" that n0stack did not make: remove it`,
    { resource: ownerOnNode("network", networkName), cause },
  );
}

export function tapMissing(tapName: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `the tap "${tapName}" is not on the node: make it first`,
  );
}

export function tapElsewhere(tapName: string, networkName: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `the tap "${tapName}" is connected to network "${networkName}": remove it there first`,
    { resource: ownerOnNode("network", networkName) },
  );
}

export function networkNotHere(networkName: string, cause?: unknown): N0Error {
  return new N0Error(
    "failed_precondition",
    `network "${networkName}" is not on this node: start a virtual machine in it here first`,
    { resource: ownerOnNode("network", networkName), cause },
  );
}

export function nobodyAnswers(
  networkName: string,
  address: string,
  port: number,
  cause?: unknown,
): N0Error {
  const place = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return new N0Error("unavailable", `nobody answers at ${place} in network "${networkName}"`, {
    resource: ownerOnNode("network", networkName),
    cause,
  });
}

export function underlayMissing(networkName: string, address: string): N0Error {
  return new N0Error(
    "failed_precondition",
    `no device of the node has its underlay address ${address}: set --underlay-address of its agent`,
    { resource: ownerOnNode("network", networkName) },
  );
}

export function underlayTooSmall(
  { networkName, mtu }: { readonly networkName: string; readonly mtu: number },
  underlay: { readonly device: string; readonly mtu: number },
  needed: number,
): N0Error {
  return new N0Error(
    "failed_precondition",
    `packets of ${mtu} bytes of network "${networkName}" need ${needed} on device "${underlay.device}", which has ` +
      `an MTU of ${underlay.mtu}: set its MTU, or that of the network`,
    { resource: ownerOnNode("network", networkName) },
  );
}

export function externalRefused(networkName: string, vlanId: number, reason: string): N0Error {
  const vlan = vlanId === 0 ? "the untagged VLAN" : `VLAN ${vlanId}`;
  return new N0Error(
    "failed_precondition",
    `network "${networkName}" cannot join ${vlan} of the node: ${reason}`,
    { resource: ownerOnNode("network", networkName) },
  );
}

export function segmentRefused(
  { networkName, vni }: { readonly networkName: string; readonly vni: number },
  cause: unknown,
): N0Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new N0Error(
    "failed_precondition",
    `the node cannot make the VXLAN device with number ${vni} of network "${networkName}". If another one has ` +
      `that number or UDP port 4789, remove it: ${reason}`,
    { resource: ownerOnNode("network", networkName), cause },
  );
}
