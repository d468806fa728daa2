import { getServers } from "node:dns";
import { isIP } from "node:net";
import { availableParallelism, hostname } from "node:os";
import { z } from "zod";
import { CONNECTIONS_MAX, RECEIVE_TIMEOUT_MS } from "../rpc/door/bounds.ts";
import { AGENT_PORT_DEFAULT, API_PORT_DEFAULT } from "../rpc/transport.ts";
import { LOG_LEVELS } from "../util/log.ts";
import { isLoopback } from "../util/loopback.ts";
import {
  baseUrl,
  bytes,
  cidr,
  cidr4,
  duration,
  durationBetween,
  flag,
  list,
  location,
  name,
  oneOf,
  path,
  setting,
  share,
  text,
  wholeNumber,
} from "./setting.ts";

/**
 * What the help says of a setting. `kind` is how its value is written where it is not obvious from
 * its type: durations are milliseconds inside.
 */
interface About {
  readonly argument: string;
  readonly description: string;
  readonly kind?: "duration" | "bytes" | "location" | "flag";
}

function about<S extends z.ZodType>(schema: S, meta: About): S {
  return schema.meta({ ...meta });
}

const DAY_MS = 24 * 3_600_000;

const port = (defaultPort: number) =>
  about(setting(wholeNumber(0, 65535)).default(defaultPort), {
    argument: "<port>",
    description: "port to listen on; 0 takes a free one",
  });

const base = {
  bindAddress: about(setting(text).default("127.0.0.1"), {
    argument: "<address>",
    description: "address to listen on; any but loopback needs --tls-cert and --tls-key",
  }),
  baseDirectory: about(setting(path).default("/var/lib/n0core"), {
    argument: "<folder>",
    description: "where everything is kept",
  }),
  logLevel: about(setting(oneOf(LOG_LEVELS)).default("info"), {
    argument: "<level>",
    description: LOG_LEVELS.join(", "),
  }),
  logFile: about(setting(path).optional(), {
    argument: "<file>",
    description: "appends the log to this file, not to standard error; SIGHUP opens it anew",
  }),
  logSizeMax: about(setting(bytes).default(64n << 20n), {
    argument: "<size>",
    description:
      "a log file of this size becomes <file>.1, in place of the one before; 0: no limit",
    kind: "bytes",
  }),
  pidFile: about(setting(path).optional(), {
    argument: "<file>",
    description: "holds the process id while the server is ready",
  }),
  stopTimeout: about(setting(duration).default(20_000), {
    argument: "<duration>",
    description:
      "how long running calls have to end when the server is stopped; the process ends then, whatever hangs",
    kind: "duration",
  }),
  connectionsMax: about(setting(wholeNumber(4, 1_000_000)).default(CONNECTIONS_MAX), {
    argument: "<count>",
    description: "more connections than this are dropped; one address has a quarter of them",
  }),
  receiveTimeout: about(setting(durationBetween(1000, 3_600_000)).default(RECEIVE_TIMEOUT_MS), {
    argument: "<duration>",
    description: "how long a client may take to send a request, or the first message of a stream",
    kind: "duration",
  }),
  tlsCert: about(setting(path).optional(), {
    argument: "<file>",
    description: "certificate, PEM, with its chain",
  }),
  tlsKey: about(setting(path).optional(), {
    argument: "<file>",
    description: "private key of the certificate, PEM",
  }),
  tlsClientCa: about(setting(path).optional(), {
    argument: "<file>",
    description: "clients need a certificate signed by this authority, PEM",
  }),
  tlsCa: about(setting(path).optional(), {
    argument: "<file>",
    description: "authority of the other n0core servers' certificates, PEM; default: the system's",
  }),
  tokenFile: about(setting(path).optional(), {
    argument: "<file>",
    description:
      "token that clients of the API must send, and agents; default: <base>/token, made at the first start",
  }),
  agentTokenFile: about(setting(path).optional(), {
    argument: "<file>",
    description:
      "token that agents ask for, the same one on the API and all agents; default: derived from the other",
  }),
  insecure: about(setting(flag).default(false), {
    argument: "[boolean]",
    description: "listens on any address without TLS or token: whoever reaches it has root here",
    kind: "flag",
  }),
};

const api = {
  anonymousLoopback: about(setting(flag).default(false), {
    argument: "[boolean]",
    description: "asks nobody on loopback for a token: every user of the machine commands it",
    kind: "flag",
  }),
  publicUrl: about(setting(baseUrl).optional(), {
    argument: "<url>",
    description:
      "how browsers reach this API, for console and download links; default: its address",
  }),
  corsOrigins: about(setting(list(text)).default([]), {
    argument: "<origins>",
    description:
      "origins of web pages that may call, separated by commas; * for all; the API's own always may",
  }),
  agentTimeout: about(setting(duration).default(120_000), {
    argument: "<duration>",
    description: "how long an agent may take to answer a call that moves no data",
    kind: "duration",
  }),
  openTransactionsMax: about(setting(wholeNumber(1, 1_000_000)).default(1000), {
    argument: "<count>",
    description: "more open transactions than this are refused with a retry delay",
  }),
  storageRequestRatioMin: about(setting(share).default(0), {
    argument: "<share>",
    description: "how much of limit_bytes a disk must request at least, from 0 to 1, such as 0.25",
  }),
  idempotencyRetention: about(setting(duration).default(24 * 3600_000), {
    argument: "<duration>",
    description: "how long a request that is sent again under its idempotency-key is known",
    kind: "duration",
  }),
  historyRetention: about(setting(durationBetween(3_600_000, 3650 * DAY_MS)).default(7 * DAY_MS), {
    argument: "<duration>",
    description: "how long what a transaction did can be looked up after its end, from 1h on",
    kind: "duration",
  }),
  nameservers: about(setting(list(text)).default(hostNameservers), {
    argument: "<addresses>",
    description: "what guests resolve names with, separated by commas; default: the host's",
  }),
};

/** Those that a guest could reach too. */
function hostNameservers(): readonly string[] {
  return getServers().filter(
    (address) => isIP(address) !== 0 && !isLoopback(address) && !/^fe80:/i.test(address),
  );
}

const node = {
  name: about(
    setting(name).default(() => hostname()),
    {
      argument: "<name>",
      description: "the node's name; default: the host's",
    },
  ),
  location: about(
    setting(location).default(() => location("////0")),
    {
      argument: "<location>",
      description: "<datacenter>/<availability zone>/<cell>/<rack>/<unit>",
      kind: "location",
    },
  ),
  cpuCapacityMilliCores: about(setting(wholeNumber(1, 100_000_000)).optional(), {
    argument: "<count>",
    description: "processor time to give away, 1000 a core; default: all of it",
  }),
  memoryCapacityBytes: about(setting(bytes).optional(), {
    argument: "<size>",
    description: "memory to give away; default: all of it",
    kind: "bytes",
  }),
  storageCapacityBytes: about(setting(bytes).optional(), {
    argument: "<size>",
    description: "disk to give away; default: the size of the base directory's file system",
    kind: "bytes",
  }),
  overcommit: about(setting(flag).default(true), {
    argument: "[boolean]",
    description: "false reserves limits instead of requests",
    kind: "flag",
  }),
  accelerator: about(setting(oneOf(["auto", "kvm", "tcg"])).default("auto"), {
    argument: "<name>",
    description: "auto, kvm or tcg",
  }),
  libvirtUri: about(setting(text).default("qemu:///system"), {
    argument: "<uri>",
    description: "the libvirt daemon of this node",
  }),
  resourcePrefix: about(setting(text).default("n0-"), {
    argument: "<prefix>",
    description: "put before the names of domains and namespaces, for several agents on one host",
  }),
  allowedFileFolders: about(setting(list(path)).optional(), {
    argument: "<folders>",
    description:
      "folders that file:// images come from, separated by commas; default: <base>/images",
  }),
  allowedSources: about(setting(list(cidr)).default([]), {
    argument: "<CIDRs>",
    description:
      "addresses of web servers that images come from although they are this node's, link-local or otherwise closed",
  }),
  allowLocalSources: about(setting(flag).default(false), {
    argument: "[boolean]",
    description: "adds loopback and link-local addresses to --allowed-sources",
    kind: "flag",
  }),
  storageFreeMin: about(setting(bytes).optional(), {
    argument: "<size>",
    description:
      "with less free on the base directory's disk, none is made, grown or fetched; default: 1 GiB, or 5 % of a smaller one",
    kind: "bytes",
  }),
  guestDestinations: about(setting(list(cidr4)).default([]), {
    argument: "<CIDRs>",
    description:
      "what guests may reach in the networks that this node is in, separated by commas; never the node itself",
  }),
  imageSizeMax: about(setting(bytes).default(1n << 40n), {
    argument: "<size>",
    description: "images of a larger virtual size are refused",
    kind: "bytes",
  }),
  imagesAtOnceMax: about(
    setting(wholeNumber(1, 64)).default(() => Math.min(2, availableParallelism())),
    {
      argument: "<count>",
      description:
        "images from outside that qemu-img reads at once, more wait; default: 2, or 1 on one core",
    },
  ),
};

/** The settings of each command. Keys are camelCase here; `bind-port` and `N0CORE_BIND_PORT` outside. */
export const SCHEMAS = {
  api: z.object({ ...base, bindPort: port(API_PORT_DEFAULT), ...api }),
  agent: z.object({
    ...base,
    bindPort: port(AGENT_PORT_DEFAULT),
    ...node,
    advertiseAddress: about(setting(text).optional(), {
      argument: "<address>",
      description: "how the API reaches this agent; default: the address that it listens on",
    }),
    nodeApiEndpoint: about(setting(text).default(`http://127.0.0.1:${API_PORT_DEFAULT}`), {
      argument: "<url>",
      description: "the API that this agent registers with",
    }),
    nameservers: about(setting(list(text)).default(hostNameservers), {
      argument: "<addresses>",
      description:
        "what guests may ask at port 53 in any network; the API's --nameservers; default: the host's",
    }),
  }),
  standalone: z.object({ ...base, bindPort: port(API_PORT_DEFAULT), ...api, ...node }),
};

export type Role = keyof typeof SCHEMAS;
export type Settings<R extends Role> = z.infer<(typeof SCHEMAS)[R]>;
export type BaseSettings = Settings<"api"> | Settings<"agent"> | Settings<"standalone">;
export type NodeSettings = Settings<"agent"> | Settings<"standalone">;

export interface SettingInfo {
  readonly key: string;
  readonly about: About;
  /** Undefined where there is none, or where only the machine knows it. */
  readonly defaultValue: unknown;
}

/** The settings of a role in the order of the help. */
export function settingsOf(role: Role): readonly SettingInfo[] {
  return Object.entries(SCHEMAS[role].shape).map(([key, schema]) => {
    const { argument, description = "", kind } = schema.meta() ?? {};
    const isKind =
      kind === "duration" || kind === "bytes" || kind === "location" || kind === "flag";
    return {
      key,
      about: { argument: String(argument), description, ...(isKind ? { kind } : {}) },
      defaultValue: description.includes("default:") ? undefined : schema.parse(undefined),
    };
  });
}

/** `bindPort` → `bind-port`. */
export function kebabCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
