import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

export const CLIENT_ID = "n0cli";

const TIMED = [
  ...["Interaction", "Session", "Grant", "DeviceCode"],
  ...["IdToken", "AccessToken", "RefreshToken"],
];

/** What the provider knows of a person, by the name with which that person signs in. */
export type People = Readonly<Record<string, { readonly groups?: readonly string[] }>>;

/** A real provider on loopback, with the pages where people sign in. */
export interface RealProvider extends AsyncDisposable {
  readonly issuer: string;
  /** Each request that it got: method and path. */
  readonly asked: string[];
  /** Replaces its signing key. It forgets who has signed in. */
  rotate(): Promise<void>;
  /** Answers a request in place of the provider, if it returns true. */
  answer: (path: string, response: ServerResponse) => boolean;
}

/** Its ID tokens are valid for an hour. */
export async function openRealProvider(people: People): Promise<RealProvider> {
  let handle: ReturnType<Provider["callback"]> = () => {};
  let keyCount = 0;
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    real.asked.push(`${request.method} ${path}`);
    if (!real.answer(path, response)) handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const real: RealProvider = {
    issuer,
    asked: [],
    answer: () => false,
    async rotate() {
      keyCount += 1;
      const { privateKey } = await generateKeyPair("RS256", { extractable: true });
      const key = { ...(await exportJWK(privateKey)), kid: `key-${keyCount}`, use: "sig" };
      handle = quietly(() => new Provider(issuer, configuration(people, key)).callback());
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  await real.rotate();
  return real;
}

function configuration(people: People, key: object) {
  return {
    clients: [
      {
        client_id: CLIENT_ID,
        application_type: "native",
        token_endpoint_auth_method: "none",
        redirect_uris: ["http://127.0.0.1/callback"],
        grant_types: [
          "authorization_code",
          "refresh_token",
          "urn:ietf:params:oauth:grant-type:device_code",
        ],
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ["only for tests"] },
    ttl: Object.fromEntries(TIMED.map((kind) => [kind, 3600])),
    // Without it, a client gets these claims from another address only.
    conformIdTokenClaims: false,
    claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
    scopes: ["openid", "offline_access", "profile", "groups"],
    features: {
      deviceFlow: {
        enabled: true,
        userCodeInputSource: show,
        userCodeConfirmSource: show,
        successSource: (context: { body: string }) => show(context, "You have signed in."),
      },
      revocation: { enabled: true, allowedPolicy: async () => true },
    },
    findAccount: (_context: unknown, accountId: string) => ({
      accountId,
      claims: () => ({
        sub: `subject-of-${accountId}`,
        preferred_username: accountId,
        groups: people[accountId]?.groups ?? [],
      }),
    }),
  };
}

async function show(context: { body: string }, form: string): Promise<void> {
  context.body = form;
}

/** The provider warns of all that a test leaves at its default. */
function quietly<T>(work: () => T): T {
  const { warn, info } = console;
  console.warn = () => {};
  console.info = () => {};
  try {
    return work();
  } finally {
    Object.assign(console, { warn, info });
  }
}
