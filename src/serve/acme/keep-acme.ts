import { backoffMs } from "../../util/backoff.ts";
import { type Clock, pause } from "../../util/clock.ts";
import { defined } from "../../util/defined.ts";
import { N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import type { Random } from "../../util/random.ts";
import type { WebRequest } from "../../util/web-request.ts";
import { renewAtMs } from "../identity/renew.ts";
import type { AcmeSettings } from "./acme-settings.ts";
import type { AcmeStore, StoredCertificate } from "./acme-store.ts";
import { timesOf } from "./acme-store.ts";
import { acmeClient } from "./client.ts";
import { obtainCertificate, type Presenter } from "./obtain.ts";

/** Public servers admit few failed challenges in an hour, so the waits grow quickly. */
const BACKOFF = { firstMs: 120_000, maxMs: 6 * 3_600_000 };
/** Also for a certificate of seconds, as in tests, there are several tries. */
const BACKOFF_PART_OF_LIFE = 50;
/** A timer of Node runs for at most 24 days. Also, the clock may be set. */
const SLEEP_MS_MAX = 600_000;
const AFTER_SUCCESS_MS = 1_000;

export interface KeepAcmeOptions {
  readonly acme: AcmeSettings;
  readonly store: AcmeStore;
  readonly presenter: Presenter;
  readonly request: WebRequest;
  /** What clients see already. */
  readonly present: StoredCertificate | undefined;
  readonly onCertificate: (certificate: StoredCertificate) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * The certificate that an earlier process got from this server, while it is valid. One for other domains is
 * better than none.
 */
export function storedCertificate(
  { directoryUrl }: AcmeSettings,
  store: AcmeStore,
  clock: Clock,
): StoredCertificate | undefined {
  const stored = store.certificate.read();
  if (stored === undefined || stored.directory !== directoryUrl) return undefined;
  return timesOf(stored).toMs > clock.nowMs() ? stored : undefined;
}

/** Gets the certificate, and another whenever two thirds of its life are over, until the signal aborts. */
export async function keepAcme(options: KeepAcmeOptions): Promise<void> {
  const { acme, store, clock, random, log, signal } = options;
  let { present } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const leftMs = dueAtMs(storedCertificate(acme, store, clock), acme) - clock.nowMs();
      if (leftMs > 0) {
        await pause(clock, Math.min(leftMs, SLEEP_MS_MAX), signal);
        continue;
      }
      const made = await obtain(options);
      present = made;
      failures = 0;
      log.info("got a certificate from the ACME server", factsOf(made));
      options.onCertificate(made);
      // If the clock is far ahead, the new certificate is due as well.
      await pause(clock, AFTER_SUCCESS_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const waitMs = waitAfter(error, failures, present, random);
      log.warn("cannot get a certificate from the ACME server, trying again", {
        error,
        domains: acme.domains,
        served: servedText(present),
        nextTry: new Date(clock.nowMs() + waitMs).toISOString(),
      });
      await pause(clock, waitMs, signal);
    }
  }
}

async function obtain(options: KeepAcmeOptions): Promise<StoredCertificate> {
  const { acme, request, clock, signal } = options;
  const { directoryUrl, ca } = acme;
  const client = acmeClient({ ...defined({ ca }), directoryUrl, request, clock, signal });
  return await obtainCertificate({ ...options, ...acme, client });
}

function dueAtMs(stored: StoredCertificate | undefined, { domains }: AcmeSettings): number {
  if (stored === undefined || stored.domains.join() !== domains.join()) return 0;
  return renewAtMs(timesOf(stored));
}

/** As long as the server wants, and longer after each failure. */
function waitAfter(
  error: unknown,
  failures: number,
  present: StoredCertificate | undefined,
  random: Random,
): number {
  const times = present === undefined ? undefined : timesOf(present);
  const lifeMs = times === undefined ? Number.POSITIVE_INFINITY : times.toMs - times.fromMs;
  const maxMs = Math.min(BACKOFF.maxMs, Math.max(1_000, lifeMs / BACKOFF_PART_OF_LIFE));
  const own = backoffMs(
    { firstMs: Math.min(BACKOFF.firstMs, maxMs), maxMs },
    Math.min(failures, 20),
    random,
  );
  const asked = error instanceof N0Error ? (error.facts.retryAfterMs ?? 0) : 0;
  return Math.max(own, asked);
}

/** For the log: what clients see in the meantime. */
function servedText(present: StoredCertificate | undefined): string {
  if (present === undefined) return "the certificate of the API's own authority";
  return `the certificate that is valid until ${factsOf(present).until}`;
}

function factsOf(stored: StoredCertificate) {
  return { domains: stored.domains, until: new Date(timesOf(stored).toMs).toISOString() };
}
