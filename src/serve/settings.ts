import { getServers } from "node:dns";
import { isIP } from "node:net";
import { availableParallelism, hostname } from "node:os";
import { z } from "zod";
import { CONNECTIONS_MAX, RECEIVE_TIMEOUT_MS } from "../rpc/door/bounds.ts";
import { AGENT_PORT_DEFAULT, API_PORT_DEFAULT } from "../rpc/transport.ts";
import { LOG_LEVELS } from "../util/log.ts";
import { isLoopback } from "../util/loopback.ts";
import { acmeDirectory, CHALLENGES, domainName, emailAddress } from "./acme/acme-settings.ts";
import { oidcIssuer, oidcRoleRule } from "./oidc-settings.ts";
import {
  baseUrl,
  bytes,
  cidr,
  deviceName,
  duration,
  durationBetween,
  flag,
  ipAddress,
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
 * The help of a setting. `kind` is how a user writes its value, if that is not obvious from its type:
 * durations are milliseconds inside.
 */
export interface About {
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
    description: "address to listen on; on any but loopback it serves TLS",
  }),
  baseDirectory: about(setting(path).default("/var/lib/n0core"), {
    argument: "<folder>",
    description: "the folder of all data",
  }),
  logLevel: about(setting(oneOf(LOG_LEVELS)).default("info"), {
    argument: "<level>",
    description: LOG_LEVELS.join(", "),
  }),
  logFile: about(setting(path).optional(), {
    argument: "<file>",
    description: "appends the log to this file, not to standard error; SIGHUP opens it again",
  }),
  logSizeMax: about(setting(bytes).default(64n << 20n), {
    argument: "<size>",
    description:
      "a log file of this size is renamed to <file>.1, and replaces the one before; 0: no limit",
    kind: "bytes",
  }),
  pidFile: about(setting(path).optional(), {
    argument: "<file>",
    description: "holds the process id while the server is ready",
  }),
  stopTimeout: about(setting(duration).default(20_000), {
    argument: "<duration>",
    description:
      "how long running calls have to end after a stop; then the process ends, even if something hangs",
    kind: "duration",
  }),
  connectionsMax: about(setting(wholeNumber(4, 1_000_000)).default(CONNECTIONS_MAX), {
    argument: "<count>",
    description: "maximum of connections, others are dropped; one address gets a quarter of them",
  }),
  receiveTimeout: about(setting(durationBetween(1000, 3_600_000)).default(RECEIVE_TIMEOUT_MS), {
    argument: "<duration>",
    description: "how long a client may take to send a request, or the first message of a stream",
    kind: "duration",
  }),
  tlsCert: about(setting(path).optional(), {
    argument: "<file>",
    description: "certificate, PEM, with its chain; the API takes a new one when the file changes",
  }),
  tlsKey: about(setting(path).optional(), {
    argument: "<file>",
    description: "private key of the certificate, PEM",
  }),
  tlsClientCa: about(setting(path).optional(), {
    argument: "<file>",
    description: "requires clients to have a certificate of this authority, PEM",
  }),
  tlsCa: about(setting(path).optional(), {
    argument: "<file>",
    description:
      "authority of the certificates of other n0core servers, PEM; default: the system's",
  }),
  tokenFile: about(setting(path).optional(), {
    argument: "<file>",
    description:
      "token that clients and agents must send to the API; default: <base>/token, made at the first start",
  }),
  agentTokenFile: about(setting(path).optional(), {
    argument: "<file>",
    description:
      "token that agents require, the same on the API and all agents; default: derived from --token-file",
  }),
  insecure: about(setting(flag).default(false), {
    argument: "[boolean]",
    description:
      "listens on any address without TLS, and without --token-file asks for no token: everyone who reaches it has root here",
    kind: "flag",
  }),
};

const acme = {
  acmeDirectory: about(setting(acmeDirectory).optional(), {
    argument: "<url>",
    description:
      "directory of an ACME server, from which the API gets its certificate; you accept the terms of its operator",
  }),
  acmeDomain: about(setting(list(domainName)).default([]), {
    argument: "<names>",
    description: "DNS names for the certificate of --acme-directory, separated by commas",
  }),
  acmeEmail: about(setting(emailAddress).optional(), {
    argument: "<address>",
    description: "whom the operator of the ACME server tells about trouble with certificates",
  }),
  acmeChallenge: about(setting(oneOf(CHALLENGES)).default("http-01"), {
    argument: "<name>",
    description:
      "how the API proves that it has the names: http-01 (it is reached at port 80) or tls-alpn-01 (at port 443)",
  }),
  acmeHttpPort: about(setting(wholeNumber(1, 65535)).default(80), {
    argument: "<port>",
    description: "port for http-01, to which port 80 of the names leads; open only meanwhile",
  }),
  acmeCa: about(setting(path).optional(), {
    argument: "<file>",
    description: "authority of the ACME server itself, PEM; default: the system's",
  }),
};

const api = {
  ...acme,
  certificateLifetime: about(setting(durationBetween(2_000, 365 * DAY_MS)).default(DAY_MS), {
    argument: "<duration>",
    description:
      "how long the certificates of nodes are valid; two thirds of it later they are renewed",
    kind: "duration",
  }),
  publicUrl: about(setting(baseUrl).optional(), {
    argument: "<url>",
    description:
      "how browsers reach this API, for console and download links; default: its address",
  }),
  corsOrigins: about(setting(list(text)).default([]), {
    argument: "<origins>",
    description:
      "origins of web pages that may call, separated by commas; * for all; the API's own origin always may",
  }),
  agentTimeout: about(setting(duration).default(120_000), {
    argument: "<duration>",
    description: "how long an agent may take to answer a call that moves no data",
    kind: "duration",
  }),
  openTransactionsMax: about(setting(wholeNumber(1, 1_000_000)).default(1000), {
    argument: "<count>",
    description: "maximum of open transactions; others are refused with a retry delay",
  }),
  storageRequestRatioMin: about(setting(share).default(0), {
    argument: "<share>",
    description:
      "minimum of request_bytes of a block storage, as a part of limit_bytes, from 0 to 1, such as 0.25",
  }),
  idempotencyRetention: about(setting(duration).default(24 * 3600_000), {
    argument: "<duration>",
    description: "how long the API keeps the answer under an idempotency-key",
    kind: "duration",
  }),
  historyRetention: about(setting(durationBetween(3_600_000, 3650 * DAY_MS)).default(7 * DAY_MS), {
    argument: "<duration>",
    description: "how long the API keeps a transaction after its end, at least 1h",
    kind: "duration",
  }),
  oidcIssuer: about(setting(list(oidcIssuer)).default([]), {
    argument: "<issuers>",
    description:
      "where people sign in: [<domain>=]<url>#<client id>, separated by commas, one for each domain",
  }),
  oidcAudience: about(setting(list(text)).default([]), {
    argument: "<audiences>",
    description: "[<domain>=]<audience> of tokens that count besides those for the client id",
  }),
  oidcUserClaim: about(setting(list(text)).default([]), {
    argument: "<claims>",
    description:
      "[<domain>=]<claim> with the name of the user; if unset: preferred_username, email or sub",
  }),
  oidcGroupsClaim: about(setting(list(text)).default([]), {
    argument: "<claims>",
    description: "[<domain>=]<claim> with the groups of the user; if unset: groups",
  }),
  oidcRoleRules: about(setting(list(oidcRoleRule)).default([]), {
    argument: "<rules>",
    description:
      "[<domain>/]<group>=<role>@<place>, such as ops=operator@system or dev-*=member@project/*",
  }),
  nameservers: about(setting(list(text)).default(hostNameservers), {
    argument: "<addresses>",
    description: "nameservers of guests, separated by commas; default: the host's",
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
      description: "name of the node; default: the host name",
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
    description: "processor time for virtual machines, 1000 for each core; default: all",
  }),
  memoryCapacityBytes: about(setting(bytes).optional(), {
    argument: "<size>",
    description: "memory for virtual machines; default: all",
    kind: "bytes",
  }),
  storageCapacityBytes: about(setting(bytes).optional(), {
    argument: "<size>",
    description: "bytes for block storages; default: the size of the base directory's file system",
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
    description: "prefix of the names of domains and namespaces, for several agents on one host",
  }),
  allowedFileFolders: about(setting(list(path)).optional(), {
    argument: "<folders>",
    description:
      "folders from which file:// images may come, separated by commas; default: <base>/images",
  }),
  allowedSources: about(setting(list(cidr)).default([]), {
    argument: "<CIDRs>",
    description:
      "addresses of web servers from which images may come although they are this node's, link-local or special",
  }),
  allowLocalSources: about(setting(flag).default(false), {
    argument: "[boolean]",
    description: "adds loopback and link-local addresses to --allowed-sources",
    kind: "flag",
  }),
  storageFreeMin: about(setting(bytes).optional(), {
    argument: "<size>",
    description:
      "with less free on the base directory's file system, nothing is made, grown or fetched; default: 1 GiB, or 5 % below 20 GiB",
    kind: "bytes",
  }),
  underlayAddress: about(setting(ipAddress).optional(), {
    argument: "<address>",
    description:
      "where other nodes send the packets of networks; default: the address at which the agent is reached",
  }),
  vlanExternalInterface: about(setting(deviceName).optional(), {
    argument: "<device>",
    description:
      "the network card whose VLANs networks join that have the annotation n0core/provisioning/virtual_machine/vlan_id; default: none",
  }),
  guestDestinations: about(setting(list(cidr)).default([]), {
    argument: "<CIDRs>",
    description:
      "what guests may reach in the networks that this node is in, separated by commas; never the node itself",
  }),
  guestIpv6: about(setting(oneOf(["auto", "off"])).default("auto"), {
    argument: "<name>",
    description:
      "auto: IPv6 packets of guests leave this node, unless it would lose its own IPv6 routes; off: they stay in their network",
  }),
  imageSizeMax: about(setting(bytes).default(1n << 40n), {
    argument: "<size>",
    description: "maximum virtual size of images",
    kind: "bytes",
  }),
  imagesAtOnceMax: about(
    setting(wholeNumber(1, 64)).default(() => Math.min(2, availableParallelism())),
    {
      argument: "<count>",
      description:
        "fetched images that qemu-img reads at once, others wait; default: 2, or 1 on one core",
    },
  ),
};

/**
 * The settings of each command. Keys are camelCase here, and `bind-port` and `N0CORE_BIND_PORT` for users.
 */
export const SCHEMAS = {
  api: z.object({ ...base, bindPort: port(API_PORT_DEFAULT), ...api }),
  agent: z.object({
    ...base,
    bindAddress: about(setting(text).optional(), {
      argument: "<address>",
      description:
        "address to listen on; default: 127.0.0.1, or with --join that from which it reaches the API",
    }),
    bindPort: port(AGENT_PORT_DEFAULT),
    ...node,
    join: about(setting(text).optional(), {
      argument: "<token>",
      description: 'joins the cloud with a token of "n0cli node join-token", once',
    }),
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
        "addresses that guests may reach at port 53; give those of the API; default: the host's",
    }),
  }),
  standalone: z.object({ ...base, bindPort: port(API_PORT_DEFAULT), ...api, ...node }),
};

export type Role = keyof typeof SCHEMAS;
export type Settings<R extends Role> = z.infer<(typeof SCHEMAS)[R]>;
/** An agent that knows where it listens. */
export type AgentSettings = Settings<"agent"> & { readonly bindAddress: string };
export type BaseSettings = Settings<"api"> | AgentSettings | Settings<"standalone">;
export type NodeSettings = AgentSettings | Settings<"standalone">;
