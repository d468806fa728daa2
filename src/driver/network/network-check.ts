import { isIP, SocketAddress } from "node:net";
import { invalid } from "../../util/errors.ts";
import { quote } from "../../util/quote.ts";
import { NAME_ON_NODE } from "../../util/ref.ts";
import type { NetworkSpec } from "./network-driver.ts";
import { checkServices } from "./network-services.ts";

/** IFNAMSIZ is 16, with the terminating zero. */
const TAP_NAME_RULE = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$/;

/**
 * The driver checks names last, whatever its caller checked, because names become paths and words of commands.
 */
export function checkNetworkName(name: string): void {
  if (!NAME_ON_NODE.test(name)) throw invalid("network", `must match ${NAME_ON_NODE}`);
}

export function checkTapName(name: string): void {
  if (!TAP_NAME_RULE.test(name)) throw invalid("tap", `must match ${TAP_NAME_RULE}`);
}

/** Refuses what cannot be a network before anything is made of it. */
export function checkNetwork(spec: NetworkSpec): void {
  checkNetworkName(spec.name);
  gatewaysOf(spec);
  if (spec.services !== undefined) checkServices(spec.services);
}

/** The gateways of a network, as the kernel prints them. */
export function gatewaysOf(spec: NetworkSpec): string[] {
  const gateways: string[] = [];
  if (spec.ipv4Gateway !== undefined) gateways.push(cidr("ipv4_gateway", spec.ipv4Gateway, 4));
  if (spec.ipv6Gateway !== undefined) gateways.push(cidr("ipv6_gateway", spec.ipv6Gateway, 6));
  return gateways;
}

function cidr(field: string, text: string, version: 4 | 6): string {
  const [address = "", length = "", ...rest] = text.split("/");
  const lengthMax = version === 4 ? 32 : 128;
  const lengthIsRight = /^\d{1,3}$/.test(length) && Number(length) <= lengthMax;
  // A zone (`fe80::1%eth0`) names a device of the node, and a network has no such device.
  if (isIP(address) !== version || address.includes("%") || !lengthIsRight || rest.length > 0) {
    throw invalid(
      field,
      `must be an IPv${version} address with its prefix length, got ${quote(text)}`,
    );
  }
  const family = version === 4 ? "ipv4" : "ipv6";
  return `${new SocketAddress({ address, family }).address}/${Number(length)}`;
}

/** @throws N0Error `invalid_argument` */
export function checkEndpoint(address: string, port: number): 4 | 6 {
  const version = isIP(address);
  if ((version !== 4 && version !== 6) || address.includes("%")) {
    throw invalid("address", `must be an IP address, got ${quote(address)}`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw invalid("port", `must be from 1 to 65535, got ${port}`);
  }
  return version;
}
