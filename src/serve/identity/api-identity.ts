import { X509Certificate } from "node:crypto";
import { hostname } from "node:os";
import type { Authority } from "../../rpc/certificate/authority.ts";
import { API_URI } from "../../rpc/certificate/identity.ts";
import type { OwnCertificate } from "../../rpc/mutual-tls.ts";
import type { Clock } from "../../util/clock.ts";
import type { Log } from "../../util/log.ts";
import type { Random } from "../../util/random.ts";
import { ensureAuthority } from "../authority-folder.ts";
import { keepRenewed } from "./renew.ts";

export interface ApiIdentity extends AsyncDisposable {
  readonly authority: Authority;
  /** The present certificate, with that of the authority, by whose fingerprint a new agent knows the API. */
  readonly own: OwnCertificate;
  /** Calls `listener` with each new certificate. */
  onRenewed(listener: (own: OwnCertificate) => void): void;
}

interface ApiIdentityOptions {
  readonly baseDirectory: string;
  /** The names and addresses by which clients call the API. */
  readonly hosts: readonly string[];
  readonly lifetimeMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * The certificate by which the API shows who it is, to agents as their client, and to its own clients if it has
 * no other. It is in memory only: a new process makes another.
 */
export async function openApiIdentity(options: ApiIdentityOptions): Promise<ApiIdentity> {
  const { baseDirectory, lifetimeMs, clock, random, log } = options;
  const authority = await ensureAuthority(baseDirectory, { clock, random, log });
  const { newPrivateKey, publicKeyOf } = await import("../../rpc/certificate/request.ts");
  const listeners: ((own: OwnCertificate) => void)[] = [];
  const make = async (): Promise<OwnCertificate> => {
    const key = newPrivateKey();
    const certificate = await authority.sign(
      {
        uri: API_URI,
        commonName: hostname().slice(0, 64),
        hosts: options.hosts,
        publicKey: publicKeyOf(key),
        lifetimeMs,
      },
      clock.nowMs(),
    );
    return { key, cert: certificate + authority.certificate };
  };
  let own = await make();
  const ending = new AbortController();
  const renewing = keepRenewed({
    times: () => {
      const { validFromDate, validToDate } = new X509Certificate(own.cert);
      return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
    },
    renew: async () => {
      own = await make();
      for (const listener of listeners) listener(own);
    },
    clock,
    random,
    log,
    signal: ending.signal,
  });
  log.info("the authority of the nodes", { fingerprint: authority.fingerprint });
  return {
    authority,
    get own() {
      return own;
    },
    onRenewed: (listener) => void listeners.push(listener),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await renewing;
    },
  };
}
