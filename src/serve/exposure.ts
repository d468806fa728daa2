import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { deriveAgentToken } from "../rpc/agent-token.ts";
import { isUnspecified } from "../rpc/host.ts";
import { readTokenFile } from "../rpc/token-auth.ts";
import type { PeerOptions, PeerToken } from "../rpc/transport.ts";
import { overlaps, parseBlock } from "../util/cidr.ts";
import { defined } from "../util/defined.ts";
import { N0Error } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { isLoopback } from "../util/loopback.ts";
import { type AcmeSettings, acmeSettingsOf } from "./acme/acme-settings.ts";
import { ensureOwnToken } from "./own-token.ts";
import type { AgentSettings, BaseSettings, Settings } from "./settings.ts";

type ApiSettings = Settings<"api"> | Settings<"standalone">;

/** The protection of a server, read from its files. */
export interface Protection {
  /** How an API gets a certificate for its domains. */
  readonly acme?: AcmeSettings;
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** It serves TLS, with a certificate of its own authority if `tls` is undefined. */
  readonly hasTls: boolean;
  /** The token that callers must send; undefined if none is required. */
  readonly token?: string;
  /** The token for calls to agents. */
  readonly toAgents: PeerOptions;
}

export interface AgentProtection extends Protection {
  /** The token for calls to the API. */
  readonly toApi: PeerOptions;
}

/**
 * Reads the TLS files and the token of an API. At the first start, makes a token if no file is named. Every
 * caller of an n0core has root on its node, so it listens beyond loopback only with TLS, or with
 * --insecure. Without TLS files it makes a certificate itself.
 *
 * @throws N0Error `failed_precondition` that says what is missing.
 */
export function protectApi(settings: ApiSettings, log: Log): Protection {
  const { bindAddress, insecure, tokenFile } = settings;
  const isExposed = !isLoopback(bindAddress);
  if (isExposed && insecure) guard(settings, ["--tls-cert and --tls-key"], log);
  const tls = readTls(settings);
  const acme = acmeSettingsOf(settings, readPem);
  // An insecure server is open to everybody anyway.
  const isOpen = isExposed && insecure && tokenFile === undefined;
  const own = isOpen ? undefined : readToken(settings, "api", log);
  const isAnonymous = insecure && !isExposed;
  if (isAnonymous) {
    log.warn(
      "insecure: every user of this computer has root on it, because the API asks for no token",
      { bindAddress },
    );
  }
  return {
    ...tls.served,
    hasTls: "tls" in tls.served || acme !== undefined || (isExposed && !insecure),
    ...defined({ token: isAnonymous ? undefined : own?.value, acme }),
    toAgents: { ...tls.peer, ...agentTokenOf(settings, own) },
  };
}

/** Like `protectApi`, for an agent. It requires the agents' token, and registers with the operators' token. */
export function protectAgent(settings: AgentSettings, log: Log): AgentProtection {
  const { bindAddress, insecure, tlsCert, tokenFile } = settings;
  const isExposed = !isLoopback(bindAddress);
  if (isExposed) guard(settings, ["--tls-cert and --tls-key", "--token-file"], log);
  const tls = readTls(settings);
  const isOpen = isExposed && insecure && tokenFile === undefined;
  const own = isOpen ? undefined : readToken(settings, "agent", log);
  const toAgents = { ...tls.peer, ...agentTokenOf(settings, own) };
  // None of our programs sends a token there.
  const isAsking = !isExposed || tlsCert !== undefined;
  return {
    ...tls.served,
    hasTls: "tls" in tls.served,
    ...defined({ token: isAsking ? toAgents.token?.value : undefined }),
    toAgents,
    toApi: { ...tls.peer, ...defined({ token: own }) },
  };
}

function readToken({ baseDirectory, tokenFile }: BaseSettings, part: "api" | "agent", log: Log) {
  return readTokenFile(tokenFile ?? ensureOwnToken(baseDirectory, part, log));
}

/** The token that agents get and require. */
function agentTokenOf(
  { agentTokenFile }: BaseSettings,
  own: PeerToken | undefined,
): { readonly token?: PeerToken } {
  if (agentTokenFile !== undefined) return { token: readTokenFile(agentTokenFile) };
  return own === undefined ? {} : { token: { ...own, value: deriveAgentToken(own.value) } };
}

function readTls({ tlsCert, tlsKey, tlsClientCa, tlsCa }: BaseSettings) {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new N0Error("failed_precondition", "--tls-cert and --tls-key need each other");
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    throw new N0Error("failed_precondition", "--tls-client-ca needs --tls-cert and --tls-key");
  }
  const cert = tlsCert === undefined ? undefined : readPem("tls-cert", tlsCert);
  const key = tlsKey === undefined ? undefined : readPem("tls-key", tlsKey);
  const clientCa = tlsClientCa === undefined ? undefined : readPem("tls-client-ca", tlsClientCa);
  const own = cert === undefined || key === undefined ? undefined : { cert, key };
  return {
    served: own === undefined ? {} : { tls: { ...own, ...defined({ clientCa }) } },
    peer: { ...own, ...(tlsCa === undefined ? {} : { ca: readPem("tls-ca", tlsCa) }) },
  };
}

/** True if it gives root to everybody who reaches it beyond loopback. */
export function isUnprotected(settings: BaseSettings): boolean {
  const { bindAddress, insecure, tlsCert, tokenFile } = settings;
  return !isLoopback(bindAddress) && insecure && (tlsCert === undefined || tokenFile === undefined);
}

function guard(settings: BaseSettings, needed: readonly string[], log: Log): void {
  const { bindAddress, tlsCert, tokenFile, insecure } = settings;
  const missing = needed.filter(
    (flag) => (flag === "--token-file" ? tokenFile : tlsCert) === undefined,
  );
  if (missing.length === 0) return;
  if (!insecure) {
    throw new N0Error(
      "failed_precondition",
      `will not listen on ${bindAddress} without protection: everyone who reaches it would have root on this ` +
        `node. Give --join (n0cli node join-token prints it), or ${missing.join(" and ")}, or listen on 127.0.0.1, or give --insecure on a network ` +
        "where you trust every computer.",
    );
  }
  const opening = openingToGuests(settings);
  if (opening !== undefined) {
    throw new N0Error(
      "failed_precondition",
      `--insecure: guests that reach ${bindAddress} would have root on this node, and --guest-destinations ` +
        `${opening} opens it to guests of other nodes. Give ${missing.join(" and ")}, or open less.`,
    );
  }
  log.warn("insecure: everyone who reaches this address has root on this node", {
    bindAddress,
    without: missing,
  });
}

/**
 * The --guest-destinations entry that contains an address of this server. Guests of this node never reach
 * it, but guests of other nodes with the same setting do.
 */
function openingToGuests(settings: BaseSettings): string | undefined {
  if (!("guestDestinations" in settings)) return undefined;
  const { bindAddress, guestDestinations } = settings;
  // The addresses of a name may change.
  if (isIP(bindAddress) === 0) return guestDestinations[0];
  const addresses = isUnspecified(bindAddress) ? ownAddresses() : [bindAddress];
  return guestDestinations.find((cidr) => {
    const block = parseBlock(cidr);
    return addresses.some((text) => {
      const address = parseBlock(text);
      return block !== undefined && address !== undefined && overlaps(block, address);
    });
  });
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((infos) =>
    (infos ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
  );
}

function readPem(setting: string, path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    if (text.includes("-----BEGIN ")) return text;
  } catch (cause) {
    throw new N0Error("failed_precondition", `--${setting}: ${path} cannot be read`, { cause });
  }
  throw new N0Error("failed_precondition", `--${setting}: ${path} is not a PEM file`);
}
