import { createHash, createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { newAuthorityFiles, openAuthority } from "../../rpc/certificate/authority.ts";
import { x509 } from "../../rpc/certificate/x509.ts";
import type { Clock } from "../../util/clock.ts";
import { systemRandom } from "../../util/random.ts";
import type { WebAnswer, WebRequest } from "../../util/web-request.ts";

interface Account {
  readonly url: string;
  readonly jwk: JsonWebKey;
  contact: unknown;
}
interface FakeOrder {
  readonly account: string;
  readonly domains: readonly string[];
  /** The places of the domains whose challenge was answered. */
  readonly proved: Set<number>;
  status: string;
  certificate: string | undefined;
}
interface Jws {
  readonly header: { kid?: string; jwk?: JsonWebKey; nonce?: string; url?: string };
  readonly payload: Readonly<Record<string, unknown>> | undefined;
}

/** An ACME server in memory. It checks signatures, nonces and challenges as a real one does. */
export interface FakeAcme {
  readonly directoryUrl: string;
  readonly request: WebRequest;
  readonly accounts: Map<string, Account>;
  readonly orders: FakeOrder[];
  readonly certificates: string[];
  /** The answer to the next requests of a path. Undefined: as usual. */
  refusal: ((path: string) => WebAnswer | undefined) | undefined;
  /** Its certificates are for another key. */
  isConfused: boolean;
}

export interface FakeAcmeOptions {
  readonly clock: Clock;
  readonly lifetimeMs: number;
  /** What it finds when it looks for the answer to a challenge. */
  readonly look: (domain: string, token: string) => string | undefined;
}

const SUBJECT_ALTERNATIVE_NAMES = "2.5.29.17";
const ORIGIN = "https://acme.test";

export function problem(type: string, detail: string, status = 403, headers = {}): WebAnswer {
  const text = JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail });
  return { status, headers, text };
}

export async function newFakeAcme(options: FakeAcmeOptions): Promise<FakeAcme> {
  const { clock } = options;
  const authority = await openAuthority(
    await newAuthorityFiles(clock.nowMs(), systemRandom),
    systemRandom,
  );
  const nonces = new Set<string>();
  const answer = (value: unknown, status = 200, headers = {}): WebAnswer => ({
    status,
    headers,
    text: typeof value === "string" ? value : JSON.stringify(value),
  });

  const authorizationOf = (order: FakeOrder, index: number, which: number) => ({
    status: order.proved.has(which) ? "valid" : order.status === "invalid" ? "invalid" : "pending",
    identifier: { type: "dns", value: order.domains[which] },
    challenges: ["http-01", "tls-alpn-01"].map((type) => ({
      type,
      url: `${ORIGIN}/challenge/${index}/${which}`,
      token: `token-${index}-${which}`,
      status: "pending",
      ...(order.status === "invalid"
        ? { error: { type: "urn:ietf:params:acme:error:unauthorized", detail: "no answer" } }
        : {}),
    })),
  });
  const orderOf = (order: FakeOrder, index: number) => ({
    status: order.status,
    authorizations: order.domains.map((_, which) => `${ORIGIN}/authorization/${index}/${which}`),
    finalize: `${ORIGIN}/finalize/${index}`,
    ...(order.status === "valid" ? { certificate: `${ORIGIN}/certificate/${index}` } : {}),
  });

  const makeCertificate = async (order: FakeOrder, csr: unknown) => {
    const der = Buffer.from(String(csr), "base64url");
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(der).buffer);
    const names = request.extensions.find(({ type }) => type === SUBJECT_ALTERNATIVE_NAMES);
    const { items } = new x509.SubjectAlternativeNameExtension(names?.rawData ?? []).names;
    const asked = items.map(({ value }) => value).toSorted();
    if (asked.join() !== order.domains.toSorted().join()) throw new Error("badCSR");
    const { newPrivateKey, publicKeyOf } = await import("../../rpc/certificate/request.ts");
    const publicKey = fake.isConfused
      ? publicKeyOf(newPrivateKey())
      : new Uint8Array(request.publicKey.rawData);
    const subject = { uri: "https://acme.test", commonName: "leaf", hosts: order.domains };
    const { lifetimeMs } = options;
    order.certificate = await authority.sign({ ...subject, publicKey, lifetimeMs }, clock.nowMs());
    fake.certificates.push(order.certificate);
    order.status = "valid";
  };

  const newAccount = ({ header, payload }: Jws): WebAnswer => {
    const { jwk = {} } = header;
    const id = thumbprint(jwk);
    const known = fake.accounts.get(id);
    const account = known ?? { url: `${ORIGIN}/account/${id}`, jwk, contact: payload?.["contact"] };
    fake.accounts.set(id, account);
    return answer({ status: "valid" }, known === undefined ? 201 : 200, { location: account.url });
  };

  const newOrder = ({ payload }: Jws, account: Account): WebAnswer => {
    const identifiers = payload?.["identifiers"] as readonly { value: string }[];
    const order = {
      account: account.url,
      domains: identifiers.map(({ value }) => value),
      proved: new Set<number>(),
      status: "pending",
      certificate: undefined,
    };
    fake.orders.push(order);
    const index = fake.orders.length - 1;
    return answer(orderOf(order, index), 201, { location: `${ORIGIN}/order/${index}` });
  };

  const checkChallenge = (order: FakeOrder, index: number, which: number, account: Account) => {
    const token = `token-${index}-${which}`;
    const expected = `${token}.${thumbprint(account.jwk)}`;
    const isRight = options.look(order.domains[which] ?? "", token) === expected;
    if (isRight) order.proved.add(which);
    else order.status = "invalid";
    if (order.proved.size === order.domains.length) order.status = "ready";
  };

  const post = async (path: string, jws: Jws): Promise<WebAnswer> => {
    if (path === "/new-account") return newAccount(jws);
    const account = [...fake.accounts.values()].find(({ url }) => url === jws.header.kid);
    if (account === undefined) return problem("accountDoesNotExist", "unknown", 400);
    if (path === "/new-order") return newOrder(jws, account);
    const [, kind = "", first = "", second = "0"] = path.split("/");
    if (kind === "account") {
      if (jws.payload !== undefined) account.contact = jws.payload["contact"];
      return answer({ status: "valid" });
    }
    const [index, which] = [Number(first), Number(second)];
    const order = fake.orders[index];
    if (order === undefined) return problem("malformed", "no such order", 404);
    if (order.account !== account.url) return problem("unauthorized", "of another account");
    if (kind === "authorization") return answer(authorizationOf(order, index, which));
    if (kind === "challenge") checkChallenge(order, index, which, account);
    if (kind === "finalize") await makeCertificate(order, jws.payload?.["csr"]);
    if (kind === "certificate") return answer(order.certificate ?? "");
    return answer(orderOf(order, index));
  };

  const withNonce = (given: WebAnswer): WebAnswer => {
    const nonce = systemRandom.token(8);
    nonces.add(nonce);
    return { ...given, headers: { ...given.headers, "replay-nonce": nonce } };
  };

  const fake: FakeAcme = {
    directoryUrl: `${ORIGIN}/directory`,
    accounts: new Map(),
    orders: [],
    certificates: [],
    refusal: undefined,
    isConfused: false,
    request: async (url, { method, content }) => {
      const { pathname } = url;
      const refused = fake.refusal?.(pathname);
      if (refused !== undefined) return withNonce(refused);
      if (pathname === "/directory") {
        const paths = { newNonce: "new-nonce", newAccount: "new-account", newOrder: "new-order" };
        const urls = Object.entries(paths).map(([name, path]) => [name, `${ORIGIN}/${path}`]);
        return answer(Object.fromEntries(urls));
      }
      if (method === "HEAD") return withNonce(answer(""));
      const accountKey = (kid: string | undefined) =>
        [...fake.accounts.values()].find((one) => one.url === kid)?.jwk;
      const jws = readJws(content ?? "", accountKey);
      if (jws === undefined) return withNonce(problem("accountDoesNotExist", "unknown", 400));
      if (!nonces.delete(jws.header.nonce ?? "")) return withNonce(problem("badNonce", "", 400));
      if (jws.header.url !== url.href) return withNonce(problem("unauthorized", "wrong url"));
      return withNonce(await post(pathname, jws));
    },
  };
  return fake;
}

function thumbprint({ crv, kty, x, y }: JsonWebKey): string {
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}

/** Undefined for an unknown account. @throws Error for a wrong signature. */
function readJws(
  content: string,
  keyOf: (kid: string | undefined) => JsonWebKey | undefined,
): Jws | undefined {
  const { protected: head, payload, signature } = JSON.parse(content) as Record<string, string>;
  const decoded = (text = "") => JSON.parse(Buffer.from(text, "base64url").toString()) as object;
  const header = decoded(head) as Jws["header"];
  const jwk = header.jwk ?? keyOf(header.kid);
  if (jwk === undefined) return undefined;
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const bytes = Buffer.from(signature ?? "", "base64url");
  if (
    !verify("sha256", Buffer.from(`${head}.${payload}`), { key, dsaEncoding: "ieee-p1363" }, bytes)
  )
    throw new Error("the signature is wrong");
  return { header, payload: payload === "" ? undefined : (decoded(payload) as Jws["payload"]) };
}
