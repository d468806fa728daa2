import { createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { Clock } from "../../util/clock.ts";
import { N0Error } from "../../util/errors.ts";
import { ensureAccount } from "./account.ts";
import { acmeError } from "./acme-error.ts";
import type { ChallengeType } from "./acme-settings.ts";
import type { AcmeStore, StoredCertificate, StoredOrder } from "./acme-store.ts";
import type { AcmeAnswer, AcmeClient, Signer } from "./client.ts";
import { isGone, jsonOf } from "./client.ts";
import { keyAuthorization } from "./signed.ts";

/** How long a server may take to check a challenge, or to make the certificate. */
const SERVER_WORKS_MS_MAX = 5 * 60_000;
const ASK_AGAIN_MS = { min: 250, default: 1_000, max: 15_000 } as const;
const AUTHORIZATIONS_MAX = 100;

const OrderSchema = z.object({
  status: z.enum(["pending", "ready", "processing", "valid", "invalid"]),
  authorizations: z.array(z.string()).max(AUTHORIZATIONS_MAX),
  finalize: z.string(),
  certificate: z.string().optional(),
  error: z.unknown().optional(),
});
const AuthorizationSchema = z.object({
  status: z.string(),
  identifier: z.object({ value: z.string() }),
  challenges: z.array(
    z.object({
      type: z.string(),
      url: z.string().optional(),
      token: z.string().optional(),
      status: z.string().optional(),
      error: z.unknown().optional(),
    }),
  ),
});

/** Shows an ACME server that it has a domain, until it is disposed. */
export interface Presenter {
  readonly type: ChallengeType;
  present(domain: string, token: string, keyAuthorization: string): Promise<AsyncDisposable>;
}

export interface ObtainOptions {
  readonly client: AcmeClient;
  readonly store: AcmeStore;
  readonly presenter: Presenter;
  readonly directoryUrl: string;
  readonly domains: readonly string[];
  readonly email: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Order extends z.infer<typeof OrderSchema> {
  readonly url: string;
}

/**
 * Gets a new certificate, and stores it. It continues the account and the order that an earlier try left,
 * wherever that died.
 *
 * @throws N0Error that names the domain and says why.
 */
export async function obtainCertificate(options: ObtainOptions): Promise<StoredCertificate> {
  const { store, domains, directoryUrl } = options;
  const signer = await ensureAccount(options);
  const { key, order } = await openOrder(options, signer);
  const valid = await completed(options, signer, order, key);
  const cert = await download(options, signer, valid);
  const made = { directory: directoryUrl, domains: [...domains], key, cert };
  const flaw = flawOf(made);
  if (flaw !== undefined) {
    // The server would send the same again.
    store.order.remove();
    throw new N0Error("unavailable", `the certificate that the ACME server sent ${flaw}`);
  }
  store.certificate.write(made);
  store.order.remove();
  return made;
}

async function download(
  { client, store, domains }: ObtainOptions,
  signer: Signer,
  { certificate = "" }: Order,
): Promise<string> {
  try {
    return (await client.post(`certificate of ${domains.join(", ")}`, certificate, signer)).text;
  } catch (error) {
    if (isGone(error)) store.order.remove();
    throw error;
  }
}

/** The order that is still open, or a new one. */
async function openOrder(options: ObtainOptions, signer: Signer) {
  const { store, directoryUrl: directory, domains, client } = options;
  const left = orderLeft(options);
  if (left?.url !== undefined) {
    try {
      const order = await readOrder(options, signer, left.url);
      if (order.status !== "invalid") return { key: left.key, order };
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  const { newPrivateKey } = await import("../../rpc/certificate/request.ts");
  const isUnsent = left !== undefined && left.url === undefined;
  const fresh = { directory, domains: [...domains], key: isUnsent ? left.key : newPrivateKey() };
  store.order.write(fresh);
  const what = `new order for ${domains.join(", ")}`;
  const answer = await client.post(what, (await client.directory()).newOrder, signer, {
    identifiers: domains.map((value) => ({ type: "dns", value })),
  });
  const url = answer.location ?? "";
  const order = { ...parsed(OrderSchema, answer, what), url };
  store.order.write({ ...fresh, url });
  return { key: fresh.key, order };
}

/** The stored order, unless it is for another server, for other domains, or already has its certificate. */
function orderLeft({ store, directoryUrl, domains }: ObtainOptions): StoredOrder | undefined {
  const left = store.order.read();
  if (left === undefined || left.directory !== directoryUrl) return undefined;
  if (left.domains.join() !== domains.join()) return undefined;
  return left.key === store.certificate.read()?.key ? undefined : left;
}

/** The order once the server has made its certificate. */
async function completed(
  options: ObtainOptions,
  signer: Signer,
  open: Order,
  key: string,
): Promise<Order> {
  const { client, domains } = options;
  const what = `order for ${domains.join(", ")}`;
  const settle = (isOver: (order: Order) => boolean) =>
    asked(options, what, () => readOrderAnswer(options, signer, open.url), isOver);
  let order = open;
  if (order.status === "pending") {
    for (const url of order.authorizations) await authorize(options, signer, url);
    order = await settle(({ status }) => status !== "pending");
  }
  if (order.status === "ready") {
    const { newCertificateRequest } = await import("../../rpc/certificate/request.ts");
    const csr = Buffer.from(await newCertificateRequest(key, domains)).toString("base64url");
    await client.post(what, order.finalize, signer, { csr });
  }
  order = await settle(({ status }) => status === "valid" || status === "invalid");
  if (order.status === "invalid") throw acmeError(what, order.error);
  return order;
}

/** Proves that we have the domain of one authorization. */
async function authorize(options: ObtainOptions, signer: Signer, url: string): Promise<void> {
  const { client, presenter } = options;
  const read = async () => {
    const answer = await client.post("authorization", url, signer);
    return { answer, value: parsed(AuthorizationSchema, answer, "authorization") };
  };
  const { value: before } = await read();
  const domain = before.identifier.value;
  if (before.status === "valid") return;
  const challenge = before.challenges.find(({ type }) => type === presenter.type);
  if (challenge?.token === undefined || challenge.url === undefined) {
    const offered = before.challenges.map(({ type }) => type).join(", ");
    throw new N0Error(
      "failed_precondition",
      `the ACME server has no ${presenter.type} for ${domain}, but ${offered || "nothing"}: set --acme-challenge`,
    );
  }
  const { token } = challenge;
  const what = `${presenter.type} challenge of ${domain}`;
  await using _shown = await presenter.present(domain, token, keyAuthorization(signer.key, token));
  if (challenge.status === "pending") await client.post(what, challenge.url, signer, {});
  const after = await asked(options, what, read, ({ status }) => status !== "pending");
  if (after.status === "valid") return;
  const failed = after.challenges.find(({ error }) => error !== undefined);
  throw acmeError(what, failed?.error ?? { detail: `the authorization is ${after.status}` });
}

/** Asks until the answer is final. The server says how often. */
async function asked<T>(
  { clock, signal }: ObtainOptions,
  what: string,
  ask: () => Promise<{ readonly answer: AcmeAnswer; readonly value: T }>,
  isOver: (value: T) => boolean,
): Promise<T> {
  const endMs = clock.monotonicMs() + SERVER_WORKS_MS_MAX;
  for (;;) {
    const { answer, value } = await ask();
    if (isOver(value)) return value;
    if (clock.monotonicMs() > endMs) {
      throw new N0Error("unavailable", `the ACME server takes more than 5 min for the ${what}`);
    }
    const { min, max } = ASK_AGAIN_MS;
    const waitMs = answer.retryAfterMs ?? ASK_AGAIN_MS.default;
    await clock.sleep(Math.min(Math.max(waitMs, min), max), signal);
  }
}

async function readOrder(options: ObtainOptions, signer: Signer, url: string): Promise<Order> {
  return (await readOrderAnswer(options, signer, url)).value;
}

async function readOrderAnswer({ client, domains }: ObtainOptions, signer: Signer, url: string) {
  const what = `order for ${domains.join(", ")}`;
  const answer = await client.post(what, url, signer);
  return { answer, value: { ...parsed(OrderSchema, answer, what), url } };
}

function parsed<T>(schema: z.ZodType<T>, { text }: AcmeAnswer, what: string): T {
  const read = schema.safeParse(jsonOf(text));
  if (read.success) return read.data;
  throw new N0Error("unavailable", `cannot read the answer of the ACME server to the ${what}`);
}

/** What a server answers is served to all users, so it must be for this key and these domains. */
function flawOf({ cert, key, domains }: StoredCertificate): string | undefined {
  try {
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return "is for another key";
    const missing = domains.find((domain) => certificate.checkHost(domain) === undefined);
    return missing === undefined ? undefined : `is not for ${missing}`;
  } catch {
    return "is damaged";
  }
}
