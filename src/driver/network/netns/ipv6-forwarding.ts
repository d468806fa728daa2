import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRoutes6 } from "./own-networks.ts";

const CONF = "/proc/sys/net/ipv6/conf";
const FORWARDING = `${CONF}/all/forwarding`;
const DEVICES = "/sys/class/net";
/** <linux/ipv6_route.h>: learned from a router advertisement. */
const RTF_ADDRCONF = 0x40000;
const RTF_DEFAULT = 0x10000;

type Write = (path: string, value: string) => void;
/** Deeper than any tower of bonds, bridges and VLANs. */
const LAYERS_MAX = 8;

/** Whether devices can have IPv6 addresses in the namespace of the thread. */
export function hasIpv6(): boolean {
  return ["all", "default"].every((name) => {
    const path = `${CONF}/${name}/disable_ipv6`;
    return existsSync(path) && readFileSync(path, "utf8").trim() === "0";
  });
}

export function forwardsIpv6(): boolean {
  return existsSync(FORWARDING) && readFileSync(FORWARDING, "utf8").trim() === "1";
}

/**
 * Makes the node forward IPv6, in the namespace of the thread. A node that forwards ignores router advertisements,
 * and loses at once the routes that it had learned from them, unless `accept_ra` of the device is 2 (ip-sysctl
 * in the kernel). So this sets it first, on each device that has such a route or may get one. If somebody else
 * has made the node forward, nothing changes.
 *
 * @returns why the node cannot forward without losing its own routes; undefined if it forwards.
 */
export function forwardIpv6(write: Write = writeFileSync): string | undefined {
  if (!hasIpv6()) return "IPv6 is off on the node";
  if (forwardsIpv6()) return undefined;
  const kept: string[] = [];
  for (const device of devicesThatListen()) {
    const path = `${CONF}/${device}/accept_ra`;
    if (!set(path, "2", write)) {
      for (const other of kept) set(other, "1", write);
      return `the node would lose the IPv6 route of ${device}, which comes from router advertisements: set net.ipv6.conf.${device}.accept_ra=2, or give the node a static route`;
    }
    kept.push(path);
  }
  if (set(FORWARDING, "1", write)) return undefined;
  for (const path of kept) set(path, "1", write);
  return "net.ipv6.conf.all.forwarding cannot be set on the node";
}

/** In a namespace that has no routes of its own to lose. */
export function forwardIpv6Inside(): void {
  if (hasIpv6() && !forwardsIpv6()) writeFileSync(FORWARDING, "1");
}

/** The devices whose router advertisements the node obeys now, and would not obey as a router. */
function devicesThatListen(): string[] {
  const learned = new Set(
    readRoutes6()
      .filter(({ flags }) => (flags & (RTF_ADDRCONF | RTF_DEFAULT)) !== 0)
      .map(({ device }) => device),
  );
  return readdirSync(CONF).filter(
    (device) =>
      device !== "all" &&
      device !== "default" &&
      read(`${CONF}/${device}/accept_ra`) === "1" &&
      (learned.has(device) || isOnHardware(device)),
  );
}

/** True for a network card, and for a bridge, bond or VLAN above one. Its router may not have spoken yet. */
function isOnHardware(device: string, layers = LAYERS_MAX): boolean {
  const folder = join(DEVICES, device);
  if (layers === 0 || !existsSync(folder)) return false;
  if (existsSync(join(folder, "device"))) return true;
  return readdirSync(folder)
    .filter((name) => name.startsWith("lower_"))
    .some((name) => isOnHardware(realpathSync(join(folder, name)).split("/").at(-1)!, layers - 1));
}

/** Whether the setting has the value now. The folder may be read-only. */
function set(path: string, value: string, write: Write): boolean {
  try {
    write(path, value);
  } catch {
    // Seen below.
  }
  return read(path) === value;
}

/** Undefined if the device has gone. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
