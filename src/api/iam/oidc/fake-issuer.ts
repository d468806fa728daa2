import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { CryptoKey, JWTHeaderParameters } from "jose";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { OidcProvider } from "./provider.ts";

type Claims = Readonly<Record<string, unknown>>;

/** An issuer on loopback that a test can make ill. It signs whatever a test wants. */
export interface FakeIssuer extends AsyncDisposable {
  readonly issuer: string;
  readonly provider: OidcProvider;
  /** The paths that it was asked for. */
  readonly asked: string[];
  /** Publishes another key in place of those before, and signs with it from now on. */
  rotate(): Promise<void>;
  /** A token of the current key. A claim or a header of the test replaces that of a good token. */
  sign(claims?: Claims, header?: Partial<JWTHeaderParameters>, key?: CryptoKey): Promise<string>;
  /** Answers a request in place of the issuer. */
  answer: ((path: string, response: ServerResponse) => void) | undefined;
  /** Stops listening; `start` listens at the same address again. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** @param nowMs The time in its tokens. */
export async function openFakeIssuer(nowMs: () => number, alg = "ES256"): Promise<FakeIssuer> {
  let port = 0;
  let keyCount = 0;
  let current = await newKey();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    fake.asked.push(path);
    if (fake.answer !== undefined) return fake.answer(path, response);
    const body = path.startsWith("/.well-known/")
      ? { issuer: fake.issuer, jwks_uri: `${fake.issuer}/keys` }
      : { keys: [current.jwk] };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });

  async function newKey() {
    keyCount += 1;
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const kid = `key-${keyCount}`;
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: "sig", alg } };
  }

  const fake: FakeIssuer = {
    get issuer() {
      return `http://127.0.0.1:${port}`;
    },
    get provider() {
      const { issuer } = fake;
      return { domain: "default", issuer, clientId: "n0cli", audiences: [], groupsClaim: "groups" };
    },
    asked: [],
    async rotate() {
      current = await newKey();
    },
    async sign(claims: Claims = {}, header = {}, key = current.privateKey) {
      const seconds = Math.floor(nowMs() / 1000);
      const good = { iss: fake.issuer, aud: "n0cli", sub: "1", preferred_username: "alice" };
      const times = { iat: seconds, exp: seconds + 3600 };
      return await new SignJWT({ ...good, ...times, ...claims })
        .setProtectedHeader({ alg, kid: current.kid, ...header })
        .sign(key);
    },
    answer: undefined,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    async start() {
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      port = (server.address() as AddressInfo).port;
    },
    [Symbol.asyncDispose]: async () => {
      if (server.listening) await fake.stop();
    },
  };
  await fake.start();
  return fake;
}
