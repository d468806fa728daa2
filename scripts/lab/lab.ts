import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

export const PROJECT = join(import.meta.dirname, "../..");

/** Several hosts on this computer: each runs programs of its own, on an underlay of its own. */
export interface Lab {
  /** Holds everything that the lab writes. Absolute. */
  readonly folder: string;
  /** What tells this lab from others on this computer: names and addresses contain it. From 1 on. */
  readonly number: number;
}

export interface Host {
  readonly lab: Lab;
  /** `api`, `node-1`, `node-2`, …: its host name, the name of its port at the switch, and that of its node. */
  readonly name: string;
  readonly kind: "api" | "node";
  readonly address: string;
  /** Its network namespace. */
  readonly namespace: string;
  /** What stays when its power is cut. */
  readonly folder: string;
}

export const API = "api";
export const NODES_MAX = 16;
/** The last bytes of addresses on the underlay: node-1 has 1. */
const API_NUMBER = 100;
const OPERATOR_NUMBER = 200;
export const PREFIX_LENGTH = 24;

/** Where the hosts' folders are. */
function hostsFolder({ folder }: Lab): string {
  return join(folder, "hosts");
}

/** An address on the underlay. 198.18.0.0/15 is for tests of networks (RFC 2544). */
function addressOn({ number }: Lab, last: number): string {
  return `198.19.${number}.${last}`;
}

export function hostOf(lab: Lab, name: string): Host {
  const index = Number(/^node-(\d+)$/.exec(name)?.[1] ?? 0);
  return {
    lab,
    name,
    kind: name === API ? "api" : "node",
    address: addressOn(lab, name === API ? API_NUMBER : index),
    namespace: `n0lab${lab.number}-${name}`,
    folder: join(hostsFolder(lab), name),
  };
}

export function nodeNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `node-${index + 1}`);
}

/** The hosts that the lab has, running or not, the API first. */
export function hostsOf(lab: Lab): readonly Host[] {
  if (!existsSync(hostsFolder(lab))) return [];
  const names = readdirSync(hostsFolder(lab)).filter((name) => /^(?:api|node-\d+)$/.test(name));
  const byNumber = (name: string) => Number(/\d+$/.exec(name)?.[0] ?? 0);
  return names.sort((a, b) => byNumber(a) - byNumber(b)).map((name) => hostOf(lab, name));
}

export function apiOf(lab: Lab): Host {
  return hostOf(lab, API);
}

/** The switch that connects the hosts is a network namespace too. */
export function switchOf({ number }: Lab): string {
  return `n0lab${number}-switch`;
}

/** How this computer itself, where n0cli runs, is on the underlay: a link and its address. */
export function operatorOf(lab: Lab): { readonly link: string; readonly address: string } {
  return { link: `n0lab${lab.number}`, address: addressOn(lab, OPERATOR_NUMBER) };
}

export function endpointOf(lab: Lab): string {
  return `https://${apiOf(lab).address}:20180`;
}

/** The data of n0core on a host, as this computer sees it. In the host it is in n0core's default folder. */
export function dataOf(host: Host): string {
  return join(host.folder, "n0core");
}

/** The folder of n0cli's contexts, with one for this lab. */
export function configHomeOf({ folder }: Lab): string {
  return join(folder, "config");
}

/** The tiny image. Each node has it as `/var/lib/n0core/images/tiny.qcow2`. */
export function imageOf({ folder }: Lab): string {
  return join(folder, "tiny.qcow2");
}
