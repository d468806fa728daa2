import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { readTokenFile } from "../rpc/token-auth.ts";
import type { PeerOptions } from "../rpc/transport.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import type { BaseSettings } from "./settings.ts";

/** What protects a server, read from its files. */
export interface Protection {
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  readonly token?: string;
  /** For its calls to other servers. */
  readonly peer: PeerOptions;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

export function isLoopback(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return address === "localhost";
  return LOOPBACK.check(address, family === 4 ? "ipv4" : "ipv6");
}

/**
 * Reads the TLS files and the token. Whoever reaches an n0core without them commands its machine as
 * root, so that it listens beyond loopback only with both, or when told that it is insecure.
 *
 * @throws N0Error `failed_precondition` saying what is missing.
 */
export function readProtection(settings: BaseSettings, log: Log): Protection {
  const { bindAddress, tlsCert, tlsKey, tlsClientCa, tlsCa, tokenFile } = settings;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new N0Error("failed_precondition", "--tls-cert and --tls-key need each other");
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    throw new N0Error("failed_precondition", "--tls-client-ca needs --tls-cert and --tls-key");
  }
  if (!isLoopback(bindAddress)) guard(settings, log);
  const cert = tlsCert === undefined ? undefined : readPem("tls-cert", tlsCert);
  const key = tlsKey === undefined ? undefined : readPem("tls-key", tlsKey);
  const clientCa = tlsClientCa === undefined ? undefined : readPem("tls-client-ca", tlsClientCa);
  const token = tokenFile === undefined ? undefined : readTokenFile(tokenFile);
  const own = cert === undefined || key === undefined ? undefined : { cert, key };
  const withToken = token === undefined ? {} : { token };
  return {
    ...withToken,
    ...(own === undefined
      ? {}
      : { tls: { ...own, ...(clientCa === undefined ? {} : { clientCa }) } }),
    peer: {
      ...withToken,
      ...own,
      ...(tlsCa === undefined ? {} : { ca: readPem("tls-ca", tlsCa) }),
    },
  };
}

function guard({ bindAddress, tlsCert, tokenFile, insecure }: BaseSettings, log: Log): void {
  const missing = [
    ...(tlsCert === undefined ? ["--tls-cert and --tls-key"] : []),
    ...(tokenFile === undefined ? ["--token-file"] : []),
  ];
  if (missing.length === 0) return;
  if (!insecure) {
    throw new N0Error(
      "failed_precondition",
      `will not listen on ${bindAddress} without protection: whoever reaches it would command this ` +
        `machine. Give ${missing.join(" and ")}, or listen on 127.0.0.1, or say --insecure on a network ` +
        "where you trust every machine.",
    );
  }
  log.warn("insecure: whoever reaches this address commands this machine", {
    bindAddress,
    without: missing,
  });
}

function readPem(setting: string, path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    if (text.includes("-----BEGIN ")) return text;
  } catch (cause) {
    throw new N0Error("failed_precondition", `--${setting}: ${path} cannot be read`, { cause });
  }
  throw new N0Error("failed_precondition", `--${setting}: ${path} is no PEM file`);
}
