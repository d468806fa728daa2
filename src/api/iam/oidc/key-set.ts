import type { CryptoKey, JWK, JWSHeaderParameters } from "jose";
import { createLocalJWKSet } from "jose";
import type { Clock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { isObject, parseSafeUrl } from "../../../util/json-request.ts";
import type { Log } from "../../../util/log.ts";
import { discover, getJson } from "../../../util/oidc-discovery.ts";

const KEYS_MAX = 100;
/** Older keys are fetched again, while they still count. */
const FRESH_MS = 10 * 60_000;
/** A key that the issuer has withdrawn counts at most this long if nobody can ask the issuer. */
const VALID_MS = 60 * 60_000;
/** Between two fetches, however many tokens name an unknown key. */
const PAUSE_MS = 30_000;
const PAUSE_AFTER_FAILURE_MS = 5_000;

type FindKey = ReturnType<typeof createLocalJWKSet>;

interface Keys {
  readonly find: FindKey;
  readonly text: string;
  readonly ids: ReadonlySet<string | undefined>;
  readonly fetchedMs: number;
}

/** The public keys of an issuer. */
export interface KeySet {
  /**
   * The key that a token names. If the issuer has a new key, it is fetched.
   *
   * @throws N0Error `unavailable` if the keys cannot be fetched; an error of jose if no key fits.
   */
  find(header: JWSHeaderParameters): Promise<CryptoKey>;
  /**
   * Changes whenever the keys change, and is undefined while no keys count. What was verified in another
   * generation must be verified again. Fetches the keys in the background when they are old.
   */
  generation(): number | undefined;
}

/** Fetches the keys at first use. No caller makes it fetch more often than every 30 s. */
export function newKeySet(issuer: string, clock: Clock, log: Log): KeySet {
  let keys: Keys | undefined;
  let generation = 0;
  let fetching: Promise<void> | undefined;
  let lastTry: { readonly atMs: number; readonly error?: unknown } | undefined;

  const ageMs = () => clock.monotonicMs() - (keys?.fetchedMs ?? Number.NEGATIVE_INFINITY);
  const valid = () => (ageMs() < VALID_MS ? keys : undefined);
  const mayFetch = () => {
    if (lastTry === undefined) return true;
    const pauseMs = lastTry.error === undefined ? PAUSE_MS : PAUSE_AFTER_FAILURE_MS;
    return clock.monotonicMs() - lastTry.atMs >= pauseMs;
  };

  async function fetchOnce(): Promise<void> {
    const atMs = clock.monotonicMs();
    lastTry = { atMs };
    try {
      const fetched = await fetchKeys(issuer, clock, atMs);
      if (fetched.text !== keys?.text) generation += 1;
      keys = fetched;
    } catch (error) {
      lastTry = { atMs, error };
      log.warn("the keys of an OIDC issuer cannot be fetched", { issuer, error });
    }
  }

  /** Fetches the keys, or waits for the fetch that runs; never rejects. */
  function refresh(): Promise<void> {
    if (fetching === undefined && !mayFetch()) return Promise.resolve();
    fetching ??= fetchOnce().finally(() => {
      fetching = undefined;
    });
    return fetching;
  }

  return {
    async find(header) {
      if (valid()?.ids.has(header.kid) !== true) await refresh();
      const current = valid();
      const isUnknown = current?.ids.has(header.kid) !== true;
      if (current === undefined || (isUnknown && lastTry?.error !== undefined)) {
        throw unreachable(issuer, lastTry?.error);
      }
      if (ageMs() > FRESH_MS) void refresh();
      return await current.find(header);
    },
    generation() {
      if (ageMs() > FRESH_MS) void refresh();
      return valid() === undefined ? undefined : generation;
    },
  };
}

function unreachable(issuer: string, cause: unknown): N0Error {
  return new N0Error(
    "unavailable",
    `the keys of the OIDC issuer ${issuer} cannot be fetched, so its tokens cannot be checked: try again, ` +
      "and if it stays so, see the log of the API",
    { retryAfterMs: PAUSE_AFTER_FAILURE_MS, cause },
  );
}

/** Asks for the address of the keys each time, because an issuer may move them. */
async function fetchKeys(issuer: string, clock: Clock, fetchedMs: number): Promise<Keys> {
  const url = parseSafeUrl((await discover(issuer, clock))["jwks_uri"]);
  if (url === undefined) {
    throw new N0Error("unavailable", `the discovery document of ${issuer} has no safe jwks_uri`);
  }
  const list = (await getJson(url, clock))["keys"];
  if (!Array.isArray(list) || list.length > KEYS_MAX || !list.every(isKey)) {
    throw new N0Error("unavailable", `${url.href} does not hold at most ${KEYS_MAX} keys`);
  }
  const ids = new Set<string | undefined>(list.map(({ kid }) => kid));
  // A token need not name the key of an issuer with one key.
  if (list.length === 1) ids.add(undefined);
  return { find: createLocalJWKSet({ keys: list }), text: JSON.stringify(list), ids, fetchedMs };
}

/** jose checks the rest when a token names the key. */
function isKey(value: unknown): value is JWK {
  return isObject(value) && typeof value["kty"] === "string";
}
