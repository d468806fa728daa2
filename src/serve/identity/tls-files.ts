import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { OwnCertificate } from "../../rpc/mutual-tls.ts";
import { type Clock, pause } from "../../util/clock.ts";
import type { Log } from "../../util/log.ts";

/** Programs that renew certificates replace links and folders too, which no watcher of one file sees. */
const LOOK_EVERY_MS = 2_000;

export interface TlsFiles {
  readonly tlsCert: string;
  readonly tlsKey: string;
  /** What they hold now. */
  readonly present: OwnCertificate;
  readonly onChanged: (changed: OwnCertificate) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Takes a new certificate with its key, once both files have changed and belong together. */
export async function keepTlsFiles(options: TlsFiles): Promise<void> {
  const { tlsCert, tlsKey, onChanged, clock, log, signal } = options;
  let { present } = options;
  let isSaid = false;
  while (await pause(clock, LOOK_EVERY_MS, signal)) {
    try {
      const read = { cert: readFileSync(tlsCert, "utf8"), key: readFileSync(tlsKey, "utf8") };
      if (read.cert === present.cert && read.key === present.key) continue;
      const certificate = new X509Certificate(read.cert);
      // One of the two may still be the old one.
      if (!certificate.checkPrivateKey(createPrivateKey(read.key))) continue;
      onChanged(read);
      present = read;
      isSaid = false;
      log.info("took a new certificate", { file: tlsCert, until: certificate.validTo });
    } catch {
      // An error of the parser could show the key.
      if (!isSaid) log.warn("cannot take the new certificate yet", { tlsCert, tlsKey });
      isSaid = true;
    }
  }
}
